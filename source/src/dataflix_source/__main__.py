"""`python -m dataflix_source`."""

import sys

from dataflix_source.cli import main

sys.exit(main())
