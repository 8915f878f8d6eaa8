"""The environment of Airflow's processes, computed from DATAFLIX_ variables and `airflow/airflow.env`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

from dataflix_common.files import replace_file

USER = "admin"

# The variables that tasks need. Airflow gets no other secret, above all not the key of the pseudonyms.
_FOR_TASKS = (
    "DATAFLIX_HOME",
    "DATAFLIX_POSTGRES_HOST",
    "DATAFLIX_POSTGRES_PORT",
    "DATAFLIX_POSTGRES_DB",
    "DATAFLIX_POSTGRES_ELT_PASSWORD",
    "DATAFLIX_CLICKHOUSE_HOST",
    "DATAFLIX_CLICKHOUSE_PORT",
    "DATAFLIX_CLICKHOUSE_ELT_PASSWORD",
    "DATAFLIX_CLICKHOUSE_DBT_PASSWORD",
    "DATAFLIX_TRAINER_HOST",
    "DATAFLIX_TRAINER_PORT",
    "DATAFLIX_TRAINER_TOKEN",
)


def airflow_environment(env: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return the complete environment of `airflow db migrate`, `api-server`, `scheduler` and `dag-processor`.

    Args:
        env: all DATAFLIX_ variables, and what every program gets (PATH, HOME, LANG, TMPDIR).
        root: the project's folder.

    Raises:
        KeyError: a variable is missing.
    """
    home = Path(env["DATAFLIX_HOME"]) / "airflow"
    host, port = env["DATAFLIX_AIRFLOW_HOST"], env["DATAFLIX_AIRFLOW_PORT"]
    url = f"http://{host}:{port}"
    plain = {name: value for name, value in env.items() if not name.startswith("DATAFLIX_")}
    return {
        **plain,
        # dbt and Airflow find each other's programs on the PATH.
        "PATH": f"{root / 'airflow' / '.venv' / 'bin'}:{env.get('PATH', os.defpath)}",
        **{name: env[name] for name in _FOR_TASKS},
        **_constants(root),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "airflow" / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "airflow" / "plugins"),
        "AIRFLOW__CORE__FERNET_KEY": env["DATAFLIX_AIRFLOW_FERNET_KEY"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__SECRET_KEY": env["DATAFLIX_AIRFLOW_API_SECRET"],
        # All processes share one secret: each checks tokens that the others have signed.
        "AIRFLOW__API_AUTH__JWT_SECRET": env["DATAFLIX_AIRFLOW_JWT_SECRET"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _database_url(env, "postgresql+psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": _database_url(env, "postgresql+asyncpg"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        # Airflow's own modes of log files ignore the umask, and let its group write them.
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
        "DATAFLIX_DBT_PROJECT_DIR": str(root / "dbt"),
        "DATAFLIX_DBT_TARGET_DIR": str(home / "dbt"),
    }


def write_password_file(environment: Mapping[str, str], password: str) -> None:
    """Write the administrator's password into the file that Airflow reads; only its owner may read it.

    Args:
        environment: the result of `airflow_environment`.
        password: the password of the user admin.
    """
    path = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps({USER: password}))


def _constants(root: Path) -> dict[str, str]:
    values = dotenv_values(root / "airflow" / "airflow.env", interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _database_url(env: Mapping[str, str], driver: str) -> str:
    password = quote(env["DATAFLIX_POSTGRES_AIRFLOW_PASSWORD"], safe="")
    address = f"{env['DATAFLIX_POSTGRES_HOST']}:{env['DATAFLIX_POSTGRES_PORT']}"
    return f"{driver}://airflow:{password}@{address}/airflow"
