"""Builds Superset's environment, sets Superset up, then becomes its server.

The supervisor runs this as one program, `python -m dataflix_stack.services.superset`, and so shows and stops
whichever of the three steps is running.
"""

import os
import subprocess
import sys
import time

from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT

_BIN = ROOT / "superset" / ".venv" / "bin"

# The first start runs next to the first pipeline run, which people wait for, so it gets idle time only.
_IDLE = ("nice", "-n", "19")
# The API comes before dashboards.
_NICENESS = 5

# The supervisor restarts a failed program at once; the pause keeps it from spinning while Postgres is down.
_PAUSE_S = 10

_ENVIRONMENT = "environment"
_USUAL_UMASK = 0o022

# Only the set-up needs these secrets.
_SET_UP_ONLY = ("DATAFLIX_SUPERSET_ADMIN_PASSWORD", "DATAFLIX_CLICKHOUSE_READER_PASSWORD")


def main() -> None:
    """Replace this process by Superset's server."""
    try:
        _run(_ENVIRONMENT, str(ROOT / "scripts" / "environments.sh"), "superset")
        _run("set-up", str(_BIN / "python"), str(ROOT / "scripts" / "setup_superset.py"))
    except StackError as error:
        time.sleep(_PAUSE_S)
        sys.exit(str(error))
    os.nice(_NICENESS)
    environ = {name: value for name, value in os.environ.items() if name not in _SET_UP_ONLY}
    environ["PYTHONPATH"] = str(ROOT / "superset")
    gunicorn = str(_BIN / "gunicorn")
    configuration = str(ROOT / "superset" / "gunicorn.conf.py")
    os.execve(gunicorn, [gunicorn, "--config", configuration, "superset.app:create_app()"], environ)  # noqa: S606


def _run(what: str, *command: str) -> None:
    # The environment has no data in it, and other accounts may use the same installation.
    umask = _USUAL_UMASK if what == _ENVIRONMENT else -1
    result = subprocess.run([*_IDLE, *command], check=False, umask=umask)
    if result.returncode != 0:
        raise StackError(f"Superset's {what} failed; see above. The next try follows in {_PAUSE_S} s.")


if __name__ == "__main__":
    main()
