"""Airflow gets what it needs, and nothing else that is secret."""

import json
import re
from pathlib import Path

import pytest

from dataflix_stack.airflow.environment import airflow_environment, write_password_file
from dataflix_stack.config.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    values = {variable.name: variable.initial_value() for variable in VARIABLES if variable.initial_value}
    return {"PATH": "/usr/bin", "LANG": "C.UTF-8", "DATAFLIX_HOME": str(tmp_path), **values}


def test_airflow_sees_no_secret_that_its_tasks_do_not_need(env: dict[str, str]) -> None:
    passed = "\n".join(airflow_environment(env, ROOT).values())

    hidden = ("PII_KEY", "ADMIN_PASSWORD", "BACKEND_PASSWORD", "READER_PASSWORD", "API_KEY", "S3_SECRET_KEY")
    for name in (name for name in env if name.endswith(hidden)):
        assert env[name] not in passed, name


def test_every_part_has_the_same_secrets_and_the_moved_port(env: dict[str, str]) -> None:
    env["DATAFLIX_AIRFLOW_PORT"] = "18080"

    environment = airflow_environment(env, ROOT)

    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:18080"
    assert environment["AIRFLOW__API_AUTH__JWT_SECRET"] == env["DATAFLIX_AIRFLOW_JWT_SECRET"]
    assert environment["LANG"] == "C.UTF-8"


def test_a_password_with_any_sign_fits_into_the_address(env: dict[str, str]) -> None:
    env["DATAFLIX_POSTGRES_AIRFLOW_PASSWORD"] = "a:b/c@d?e#f%g"

    address = airflow_environment(env, ROOT)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]

    assert "//airflow:a%3Ab%2Fc%40d%3Fe%23f%25g@127.0.0.1:" in address


def test_telemetry_is_off(env: dict[str, str]) -> None:
    environment = airflow_environment(env, ROOT)

    assert environment["AIRFLOW__COSMOS__ENABLE_TELEMETRY"] == "False"
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert environment["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"


def test_the_constant_settings_hold_no_secret() -> None:
    text = (ROOT / "airflow" / "airflow.env").read_text()

    names = re.findall(r"^(\w+)=", text, re.MULTILINE)
    assert len(names) == len(set(names)) > 10
    assert not [name for name in names if re.search(r"SECRET|PASSWORD(?!S_FILE)|FERNET|CONN", name)]


def test_only_the_owner_can_read_the_password_file(env: dict[str, str]) -> None:
    environment = airflow_environment(env, ROOT)
    path = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])

    write_password_file(environment, "first")
    write_password_file(environment, "second")

    assert json.loads(path.read_text()) == {"admin": "second"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["passwords.json"]
