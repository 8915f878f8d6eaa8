"""`python -m dataflix_stack.services.launch SERVICE`: become that service, with only the settings it needs.

The supervisor starts services with this command, so its configuration holds no secret, and a service that
restarts reads `.env` again.
"""

import os
import sys

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.services import leftovers, started_with
from dataflix_stack.services.registry import BY_NAME


def main() -> None:
    """Replace this process by the service that the first argument names."""
    service = BY_NAME[sys.argv[1]]
    try:
        settings = stack_settings.load(create=False)
        command, environ = service.command(settings), service.environ(settings)
    except StackError as error:
        sys.exit(f"{service.name} can't start: {error}")
    try:
        started_with.record(service, settings)
    except OSError as error:
        # The service itself may do without a disk that is full.
        print(f"A later change of {settings.env_file} will not be noticed: {error}", file=sys.stderr)
    environ |= leftovers.mark(service.name, settings.home)
    os.execvpe(command[0], command, environ)  # noqa: S606  becoming that program is the purpose


if __name__ == "__main__":
    main()
