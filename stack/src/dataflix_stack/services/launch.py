"""`python -m dataflix_stack.services.launch SERVICE`: become that service, with only the settings it needs.

The supervisor starts services through this: so its configuration holds no secret, and a restart reads
`.env` anew.
"""

import os
import sys

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.services.registry import BY_NAME


def main() -> None:
    """Replace this process by the service named in the arguments."""
    service = BY_NAME[sys.argv[1]]
    try:
        settings = stack_settings.load(create=False)
        command, environ = service.command(settings), service.environ(settings)
    except StackError as error:
        sys.exit(f"{service.name} can't start: {error}")
    os.execvpe(command[0], command, environ)  # noqa: S606  the point is to become that program


if __name__ == "__main__":
    main()
