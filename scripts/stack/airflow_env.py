"""Airflow's environment: `airflow/airflow.env`, the addresses and secrets of `.env`, and folders."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")

# What the tasks of elt_pipeline need; the API's key, say, is no business of theirs.
_NEEDED = (
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
    """Return the whole environment of Airflow's programs and tasks.

    Args:
        env: every DATAFLIX_ variable, and PATH, HOME, LANG and TMPDIR.
        root: the project's folder.
    """
    folder = Path(env["DATAFLIX_HOME"]) / "airflow"
    password = quote(env["DATAFLIX_POSTGRES_AIRFLOW_PASSWORD"], safe="")
    address = f"{env['DATAFLIX_POSTGRES_HOST']}:{env['DATAFLIX_POSTGRES_PORT']}"
    url = f"http://{env['DATAFLIX_AIRFLOW_HOST']}:{env['DATAFLIX_AIRFLOW_PORT']}"
    constants = {name: value or "" for name, value in dotenv_values(root / "airflow" / "airflow.env").items()}
    passed_on = {name: env[name] for name in _PASSED_ON if name in env}
    return {
        **passed_on,
        **constants,
        **{name: env[name] for name in _NEEDED},
        "PATH": f"{root / 'airflow' / '.venv' / 'bin'}:{env['PATH']}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "airflow" / "dags"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow:{password}@{address}/airflow",
        "AIRFLOW__CORE__FERNET_KEY": env["DATAFLIX_AIRFLOW_FERNET_KEY"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": url + "/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_password_file(env)),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": env["DATAFLIX_AIRFLOW_API_SECRET"],
        "AIRFLOW__API_AUTH__JWT_SECRET": env["DATAFLIX_AIRFLOW_JWT_SECRET"],
        "DATAFLIX_DBT_PROJECT_DIR": str(root / "dbt"),
        "DBT_TARGET_PATH": str(folder / "dbt" / "target"),
        "DBT_LOG_PATH": str(folder / "dbt" / "logs"),
    }


def write_password_file(env: Mapping[str, str], password: str) -> None:
    """Write the password of the user admin where the simple auth manager reads it (mode 600)."""
    path = _password_file(env)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump({"admin": password}, out)


def _password_file(env: Mapping[str, str]) -> Path:
    return Path(env["DATAFLIX_HOME"]) / "airflow" / "passwords.json"
