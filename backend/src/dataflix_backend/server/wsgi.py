"""The application that each gunicorn worker imports."""

import os

from dataflix_backend.app import create_app
from dataflix_backend.settings import Settings

application = create_app(Settings.from_environ(os.environ))
