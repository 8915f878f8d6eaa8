"""Rate limits of keys, and origins of browsers."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dataflix_backend.settings import Settings
from dataflix_common.settings import SettingsError
from dataflix_testkit import PostgresServer

from .conftest import StartApp, settings_for
from .support.api import API_KEY, ApiClient
from .support.contract import Contract
from .support.keys import make_key
from .support.killable import children
from .support.server import serving

SITE = "https://movies.example"
PREFLIGHT = {"Origin": SITE, "Access-Control-Request-Method": "POST"}


Client = Callable[..., ApiClient]


@pytest.fixture
def client(pg: PostgresServer, tmp_path: Path, contract: Contract, start_app: StartApp) -> Client:
    """Returns an API with changed settings."""
    return lambda **changes: ApiClient(
        start_app(settings_for(tmp_path, pg, **changes)).test_client(), contract
    )


def test_a_key_over_its_limit_gets_the_time_to_wait(pg: PostgresServer, client: Client) -> None:
    api = client(DATAFLIX_BACKEND_RATE_LIMIT="5")
    busy, other = make_key(pg, ["read"]), make_key(pg, ["read"])
    assert [api.get("/genres", key=busy).status for _ in range(5)] == [200] * 5
    refused = api.get("/genres", key=busy)
    assert "5 times a minute" in refused.problem(429)["detail"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert api.get("/genres", key=other).status == 200
    assert [api.get("/genres").status for _ in range(8)] == [200] * 8


def test_all_workers_count_together(pg: PostgresServer, tmp_path: Path) -> None:
    limit = 40
    limits = {"DATAFLIX_BACKEND_ADMIN_RATE_LIMIT": str(limit), "DATAFLIX_BACKEND_WORKERS": "2"}
    with serving(tmp_path, pg.environ, **limits) as server:

        def ask_without(worker: int, times: int) -> list[int]:
            os.kill(worker, signal.SIGSTOP)
            try:
                with server.session() as session:
                    return [session.get(f"{server.url}/genres", timeout=30).status_code for _ in range(times)]
            finally:
                os.kill(worker, signal.SIGCONT)

        while len(children(server.pid)) < 2:
            time.sleep(0.05)
        first, second = children(server.pid)
        began = time.monotonic()
        assert ask_without(first, 25) == [200] * 25
        statuses = ask_without(second, 30)
        took_s = time.monotonic() - began
    # If a minute ends in between, a part of its requests no longer counts.
    assert 15 <= statuses.count(200) <= 16 + limit * took_s / 60
    assert statuses.count(429) == 30 - statuses.count(200)


def test_refused_requests_count_too(pg: PostgresServer, client: Client) -> None:
    api = client(DATAFLIX_BACKEND_RATE_LIMIT="3")
    key = make_key(pg, ["read"])
    assert [api.get("/users", key=key).status for _ in range(4)] == [403, 403, 403, 429]


def test_administrators_can_be_limited_and_others_not(pg: PostgresServer, client: Client) -> None:
    changes = {"DATAFLIX_BACKEND_RATE_LIMIT": "0", "DATAFLIX_BACKEND_ADMIN_RATE_LIMIT": "2"}
    api = client(**changes)
    key = make_key(pg, ["read"])
    assert [api.get("/genres", key=API_KEY).status for _ in range(3)] == [200, 200, 429]
    assert {api.get("/genres", key=key).status for _ in range(20)} == {200}


def test_other_sites_pages_are_closed_out_by_default(api: ApiClient) -> None:
    assert api.request("OPTIONS", "/genres", headers=PREFLIGHT).status == 405
    answer = api.get("/genres", headers={"Origin": SITE})
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_named_origins_are_let_in_and_no_others(client: Client) -> None:
    api = client(DATAFLIX_BACKEND_CORS_ORIGINS=f"https://a.example, {SITE}")
    raw = api._client.open("/ratings", method="OPTIONS", headers=PREFLIGHT)
    assert raw.status_code == 204
    assert raw.headers["Access-Control-Allow-Origin"] == SITE
    assert "X-API-Key" in raw.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in raw.headers
    answer = api.get("/genres", headers={"Origin": SITE})
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "Origin" in answer.headers["Vary"]
    for stranger in ("https://evil.example", f"{SITE}.evil.example", "null", SITE.upper()):
        headers = {**PREFLIGHT, "Origin": stranger}
        assert api.request("OPTIONS", "/ratings", headers=headers).status == 405
        assert "Access-Control-Allow-Origin" not in api.get("/genres", headers={"Origin": stranger}).headers
    assert api.get("/genres", key=None, headers={"Origin": SITE}).status == 401


@pytest.mark.parametrize("origins", ["*", "movies.example", "https://movies.example/", "https://a b", ","])
def test_invalid_origins_are_refused(origins: str) -> None:
    environ = {"DATAFLIX_API_KEY": "k" * 32, "DATAFLIX_POSTGRES_BACKEND_PASSWORD": "p" * 32}
    with pytest.raises(SettingsError, match="DATAFLIX_BACKEND_CORS_ORIGINS"):
        Settings.from_environ({**environ, "DATAFLIX_BACKEND_CORS_ORIGINS": origins})


def test_every_answer_carries_the_security_headers(api: ApiClient) -> None:
    for path, key in (("/genres", API_KEY), ("/genres", None), ("/nowhere", None), ("/docs", None)):
        headers = api._client.get(path, headers={"X-API-Key": key} if key else {}).headers
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options"):
            assert headers[name], (path, name)
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
