"""Wrong passwords are limited: form and API together, in turn and at once, for each client."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from dataflix_common.login_attempts import MAX_FOR_CLIENT as ALLOWED
from dataflix_testkit import free_port

from .conftest import Superset, serving

# The first test waits for the set-up of warehouse and Superset: minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)


class From(HTTPAdapter):
    """Connects from an address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: object, **more: object) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **more)  # type: ignore[arg-type]


@pytest.fixture
def other(superset: Superset, tmp_path: Path) -> Iterator[Superset]:
    """A second server, whose counters are its own: the other tests log in, too."""
    port = free_port()
    server = replace(
        superset,
        url=f"http://127.0.0.1:{port}",
        environ=superset.environ | {"DATAFLIX_SUPERSET_PORT": str(port)},
    )
    with serving(server, tmp_path / "superset.log"):
        yield server


def _by_api(server: Superset, password: str, address: str) -> requests.Response:
    session = requests.Session()
    session.mount("http://", From(address))
    body = {"username": "admin", "password": password, "provider": "db"}
    return session.post(server.url + "/api/v1/security/login", json=body, timeout=60)


def _by_form(server: Superset, password: str, address: str) -> requests.Response:
    session = requests.Session()
    session.mount("http://", From(address))
    page = session.get(server.url + "/login/", timeout=60).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token
    form = {"username": "admin", "password": password, "csrf_token": token[1]}
    return session.post(server.url + "/login/", data=form, timeout=60, allow_redirects=False)


def test_wrong_passwords_are_limited_over_form_and_api(other: Superset) -> None:
    # Right passwords count nothing.
    for _ in range(ALLOWED + 2):
        assert _by_api(other, other.password, "127.0.0.1").status_code == 200
    for number in range(2):
        assert _by_api(other, f"wrong {number}", "127.0.0.2").status_code == 401
        assert _by_form(other, f"wrong {number}", "127.0.0.3").status_code == 302

    def guess(number: int) -> requests.Response:
        # Another address of this machine is no other client.
        ask = _by_api if number % 2 else _by_form
        return ask(other, f"wrong {number}", f"127.0.0.{number + 1}")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(20)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} <= {302, 401, 429}
    assert len(answers) - len(refused) == ALLOWED - 4
    assert {1 <= int(answer.headers["Retry-After"]) <= 61 for answer in refused} == {True}
    # The right password is not tried either, and dashboards are not limited.
    assert _by_api(other, other.password, "127.0.0.1").status_code == 429
    assert _by_form(other, other.password, "127.0.0.9").status_code == 429
    assert requests.get(other.url + "/login/", timeout=60).status_code == 200
