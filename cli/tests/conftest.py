"""A real API for all tests, and the command in this process."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from dataflix_cli.main import run
from dataflix_testkit import PostgresServer, free_port, postgres
from dataflix_testkit.process import clean_environ, server_process

from .support import data

API_KEY = "cli-test-key-0123456789"


@dataclass(frozen=True)
class Server:
    """The running API and its movies."""

    url: str
    catalogue: data.Catalogue

    @property
    def environ(self) -> dict[str, str]:
        return clean_environ({"DATAFLIX_API_URL": self.url, "DATAFLIX_API_KEY": API_KEY})


@pytest.fixture(scope="session")
def pg() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


@contextmanager
def serving(home: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Run the API and return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return requests.get(f"{url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    settings = {
        **environ,
        "DATAFLIX_HOME": str(home),
        "DATAFLIX_API_KEY": API_KEY,
        "DATAFLIX_BACKEND_PORT": str(port),
    }
    command = [str(Path(sys.executable).with_name("dataflix-backend")), "serve"]
    with server_process(command, ready=ready, log=home / "backend.log", environ=clean_environ(settings)):
        yield url


@pytest.fixture(scope="session")
def server(pg: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    catalogue = data.seed(pg.dsn("dataflix_backend"), home / "models")
    with serving(home, pg.environ) as url:
        yield Server(url, catalogue)


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Invoke = Callable[..., CommandResult]


@pytest.fixture
def isolated(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Run the command in an empty folder without any Dataflix variable."""
    for name in ("API_URL", "API_KEY", "BACKEND_HOST", "BACKEND_PORT", "ENV_FILE"):
        monkeypatch.delenv(f"DATAFLIX_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    # The tests' own tree may have the .env of a running stack.
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))

    def invoke(*arguments: str) -> CommandResult:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def dataflix(isolated: Invoke, server: Server, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command against the API."""
    monkeypatch.setenv("DATAFLIX_API_URL", server.url)
    monkeypatch.setenv("DATAFLIX_API_KEY", API_KEY)
    return isolated
