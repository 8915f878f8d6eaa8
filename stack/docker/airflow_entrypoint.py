"""Entry point of the Airflow image: one of Airflow's programs, with the settings it has without Docker.

`airflow_entrypoint.py prepare` brings Airflow's database and the administrator's password up to date and
ends; any other words are `airflow`'s own, such as `scheduler`. An AIRFLOW__ variable of the container wins
over ours.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "stack" / "src"))

from dataflix_stack.airflow.environment import airflow_environment, write_password_file  # noqa: E402  found by the line above


def main() -> None:
    """Replace this process by `airflow`."""
    words = sys.argv[1:]
    environ = airflow_environment(os.environ, ROOT)
    environ |= {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__")}
    if words == ["prepare"]:
        write_password_file(environ, os.environ["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"])
        words = ["db", "migrate"]
    program = ROOT / "airflow" / ".venv" / "bin" / "airflow"
    os.execve(program, [str(program), *words], environ)  # noqa: S606  the point is to become that program


if __name__ == "__main__":
    main()
