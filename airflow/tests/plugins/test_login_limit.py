"""The limit of log-ins, in front of the routes of Airflow's simple auth manager."""

import importlib.util
import json
from pathlib import Path

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.routes.login import login_router
from airflow.configuration import conf
from fastapi import FastAPI
from starlette.testclient import TestClient

from dataflix_common.login_attempts import MAX_FOR_ALL, MAX_FOR_CLIENT, WINDOW_S

# Airflow finds it in a folder, too; it belongs to no package.
_FILE = Path(__file__).resolve().parents[2] / "plugins" / "login_limit.py"
_SPEC = importlib.util.spec_from_file_location("login_limit", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
login_limit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(login_limit)

PASSWORD = "the-right-password"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """Airflow's routes behind the limit, asked from any address."""

    def __init__(self) -> None:
        self.clock = Clock()
        app = FastAPI()
        auth = FastAPI()
        auth.include_router(login_router)
        app.mount("/auth", auth)
        self._limited = login_limit.LoginLimit(app, clock=self.clock)

    def log_in(self, password: str, *, client: str = "127.0.0.1", path: str = "/auth/token") -> int:
        asked = TestClient(self._limited, client=(client, 50000))
        answer = asked.post(path, json={"username": "admin", "password": password})
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= WINDOW_S + 1
        return int(answer.status_code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": PASSWORD}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "x" * 64)
    assert conf.get("core", "simple_auth_manager_users") == "admin:admin"
    create_auth_manager()
    return Site()


def test_wrong_passwords_are_limited_and_then_the_right_one_waits_too(site: Site) -> None:
    assert [site.log_in(f"wrong-{n}") for n in range(MAX_FOR_CLIENT)] == [401] * MAX_FOR_CLIENT
    assert site.log_in("wrong") == 429
    assert site.log_in(PASSWORD) == 429
    site.clock.now += WINDOW_S
    assert site.log_in(PASSWORD) == 201


def test_the_right_password_never_uses_up_the_limit(site: Site) -> None:
    assert {site.log_in(PASSWORD) for _ in range(3 * MAX_FOR_CLIENT)} == {201}


def test_right_passwords_in_between_give_no_further_tries(site: Site) -> None:
    codes = []
    for n in range(2 * MAX_FOR_CLIENT):
        codes += [site.log_in(f"wrong-{n}"), site.log_in(PASSWORD)]
    assert codes.count(401) == MAX_FOR_CLIENT


@pytest.mark.parametrize("path", ["/auth/token", "/auth/token/cli", "/auth/token/", "/auth/%74oken"])
def test_every_spelling_of_the_route_is_limited(site: Site, path: str) -> None:
    codes = [site.log_in("wrong", path=path) for _ in range(MAX_FOR_CLIENT)]
    assert 429 not in codes
    assert site.log_in("wrong", path=path) == 429
    assert site.log_in("wrong") == 429


def test_addresses_of_one_machine_count_as_one(site: Site) -> None:
    for n in range(MAX_FOR_CLIENT):
        site.log_in("wrong", client=("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.2")[n % 4])
    assert site.log_in("wrong", client="127.1.2.3") == 429
    assert site.log_in(PASSWORD, client="192.0.2.7") == 201


def test_a_network_of_ipv6_counts_as_one(site: Site) -> None:
    for n in range(MAX_FOR_CLIENT):
        site.log_in("wrong", client=f"2001:db8::{n + 1}")
    assert site.log_in("wrong", client="2001:db8::ffff") == 429
    assert site.log_in("wrong", client="2001:db8:1::1") == 401


def test_many_addresses_are_limited_together(site: Site) -> None:
    codes = [site.log_in("wrong", client=f"192.0.2.{n}") for n in range(MAX_FOR_ALL + 5)]
    assert codes == [401] * MAX_FOR_ALL + [429] * 5
    assert len(site._limited.attempts) == MAX_FOR_ALL


def test_airflow_loads_the_plugin() -> None:
    assert [entry["middleware"] for entry in login_limit.LoginLimitPlugin.fastapi_root_middlewares] == [
        login_limit.LoginLimit
    ]
