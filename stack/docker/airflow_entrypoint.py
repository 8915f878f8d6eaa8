"""Entry point of the Airflow image: runs one of Airflow's programs with the settings of the local stack.

`airflow_entrypoint.py prepare` migrates Airflow's database, writes the administrator's password file and
ends. Other arguments, such as `scheduler`, are passed to `airflow`. An AIRFLOW__ variable of the container
replaces our value.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "stack" / "src"))

from dataflix_stack.airflow.environment import airflow_environment, write_password_file  # noqa: E402  found by the line above


def main() -> None:
    """Replace this process by `airflow`."""
    arguments = sys.argv[1:]
    environ = airflow_environment(os.environ, ROOT)
    environ |= {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__")}
    if arguments == ["prepare"]:
        write_password_file(environ, os.environ["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"])
        arguments = ["db", "migrate"]
    program = ROOT / "airflow" / ".venv" / "bin" / "airflow"
    os.execve(program, [str(program), *arguments], environ)  # noqa: S606  becoming that program is the purpose


if __name__ == "__main__":
    main()
