"""Superset as in the stack, on a real Postgres and a real ClickHouse with a small warehouse."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from dataflix_testkit import PostgresServer, clickhouse, free_port, postgres
from dataflix_testkit.process import ROOT, clean_environ, random_password, server_process

from .warehouse import fill

BIN = ROOT / "superset" / ".venv" / "bin"


@dataclass
class Superset:
    """A running Superset server and its set-up command."""

    url: str
    environ: dict[str, str]
    metadata: PostgresServer

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self.environ["DATAFLIX_SUPERSET_ADMIN_PASSWORD"]

    def set_up(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up with changed settings; an empty value removes a setting."""
        environ = {name: value for name, value in (self.environ | changed).items() if value}
        return subprocess.run(
            [str(BIN / "python"), str(ROOT / "scripts" / "setup_superset.py"), *arguments],
            env=clean_environ(environ),
            capture_output=True,
            text=True,
            check=False,
        )

    def logged_in(self, password: str | None = None) -> requests.Session:
        """Return an API session of the administrator."""
        session = requests.Session()
        body = {"username": "admin", "password": password or self.password, "provider": "db"}
        answer = session.post(self.url + "/api/v1/security/login", json=body, timeout=30)
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        token = session.get(self.url + "/api/v1/security/csrf_token/", timeout=30)
        session.headers["X-CSRFToken"] = token.json()["result"]
        return session

    def browser(self) -> requests.Session:
        """Return a browser session of the administrator: log-in form and cookie."""
        session = requests.Session()
        page = session.get(self.url + "/login/", timeout=30).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert token
        form = {"username": "admin", "password": self.password, "csrf_token": token[1]}
        session.post(self.url + "/login/", data=form, timeout=30)
        session.headers["X-CSRFToken"] = token[1]
        return session

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on Superset's metadata database."""
        connection = psycopg2.connect(self.metadata.dsn("superset", "superset"))
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@pytest.fixture(scope="session")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    assert BIN.exists(), f"{BIN} is missing: scripts/environments.sh superset makes it"
    folder: Path = tmp_path_factory.mktemp("superset")
    with postgres() as metadata, clickhouse() as warehouse:
        port = free_port()
        environ = metadata.environ | warehouse.environ
        environ |= {
            "HOME": str(folder / "person"),
            "DATAFLIX_HOME": str(folder / "home"),
            "DATAFLIX_SUPERSET_PORT": str(port),
            "DATAFLIX_SUPERSET_ADMIN_PASSWORD": random_password(),
            "DATAFLIX_SUPERSET_SECRET_KEY": random_password(),
        }
        server = Superset(f"http://127.0.0.1:{port}", environ, metadata)
        # The set-up does not read the warehouse, so dbt can fill it at the same time.
        with ThreadPoolExecutor() as pool:
            filling = pool.submit(fill, warehouse, folder)
            done = server.set_up()
            filling.result()
        assert done.returncode == 0, done.stderr[-3000:]

        with serving(server, folder / "superset.log"):
            yield server


@contextmanager
def serving(server: Superset, log: Path) -> Iterator[None]:
    """Run the server for the time of the block, as the stack does."""

    def ready() -> bool:
        try:
            return requests.get(server.url + "/health", timeout=2).ok
        except requests.RequestException:
            return False

    command = [
        *(str(BIN / "gunicorn"), "--config", str(ROOT / "superset" / "gunicorn.conf.py")),
        "superset.app:create_app()",
    ]
    environ = clean_environ(server.environ | {"PYTHONPATH": str(ROOT / "superset")})
    with server_process(command, ready=ready, log=log, environ=environ):
        yield


@pytest.fixture(scope="session")
def admin(superset: Superset) -> requests.Session:
    return superset.logged_in()
