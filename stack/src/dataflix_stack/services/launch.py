"""`python -m dataflix_stack.services.launch SERVICE`: become that service, with only the settings it needs.

The supervisor starts services with this command, so its configuration holds no secret, and a service that
restarts reads `.env` again.
"""

import os
import sys

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.services import leftovers
from dataflix_stack.services.registry import BY_NAME


def main() -> None:
    """Replace this process by the service that the first argument names."""
    service = BY_NAME[sys.argv[1]]
    try:
        settings = stack_settings.load(create=False)
        command, environ = service.command(settings), service.environ(settings)
    except StackError as error:
        sys.exit(f"{service.name} can't start: {error}")
    environ |= leftovers.mark(service.name, settings.home)
    os.execvpe(command[0], command, environ)  # noqa: S606  becoming that program is the purpose


if __name__ == "__main__":
    main()
