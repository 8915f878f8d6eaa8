"""The address and key of the API, and errors of the connection."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_cli.errors import CliError
from dataflix_cli.settings import connection
from dataflix_testkit import free_port

from .conftest import API_KEY, Invoke, Server


def test_option_overrides_environment_and_environment_overrides_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATAFLIX_BACKEND_PORT=6001\nDATAFLIX_API_KEY='from the file'\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = connection(None, {}, below)
    assert (found.url, found.key) == ("http://127.0.0.1:6001", "from the file")
    environ = {"DATAFLIX_BACKEND_PORT": "6002", "DATAFLIX_API_KEY": "k"}
    assert connection(None, environ, below).url == "http://127.0.0.1:6002"
    environ["DATAFLIX_API_URL"] = "https://movies.example/api/"
    assert connection(None, environ, below).url == "https://movies.example/api"
    assert connection("http://localhost:1", environ, below).url == "http://localhost:1"
    assert "from the file" not in repr(found)


def test_named_file_overrides_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATAFLIX_API_KEY=near\n")
    (tmp_path / "other").write_text("DATAFLIX_API_KEY=named\n")
    assert connection(None, {"DATAFLIX_ENV_FILE": str(tmp_path / "other")}, tmp_path).key == "named"
    with pytest.raises(CliError, match="DATAFLIX_ENV_FILE"):
        connection(None, {"DATAFLIX_ENV_FILE": str(tmp_path / "missing")}, tmp_path)


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")]
)
def test_server_on_any_address_is_reached_on_this_machine(tmp_path: Path, host: str, asked: str) -> None:
    environ = {"DATAFLIX_BACKEND_HOST": host, "DATAFLIX_API_KEY": "k"}
    assert connection(None, environ, tmp_path).url == f"http://{asked}:5002"


def test_missing_key_is_reported(isolated: Invoke) -> None:
    result = isolated("genres")
    assert (result.code, result.out) == (5, "")
    assert "DATAFLIX_API_KEY" in result.err


def test_wrong_key_is_refused(dataflix: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "wrong")
    result = dataflix("genres")
    assert (result.code, result.out) == (5, "")
    assert "./run.sh" in result.err
    monkeypatch.setenv("DATAFLIX_API_KEY", "schlüssel")
    assert dataflix("genres").code == 2


def test_env_file_is_enough(isolated: Invoke, server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    (tmp_path / ".env").write_text(f"DATAFLIX_BACKEND_PORT={port}\nDATAFLIX_API_KEY={API_KEY}\n")
    assert "Drama" in isolated("genres").out


def test_env_file_of_the_installation_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / ".env").write_text("DATAFLIX_API_KEY=of the project\n")
    monkeypatch.setattr("sys.prefix", str(project / ".venv"))
    assert connection(None, {}, elsewhere).key == "of the project"
    (elsewhere / ".env").write_text("DATAFLIX_API_KEY=nearer\n")
    assert connection(None, {}, elsewhere).key == "nearer"


@pytest.mark.parametrize(
    "url", ["movies", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a b"]
)
def test_unusable_address_is_refused(isolated: Invoke, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    result = isolated("--api-url", url, "genres")
    assert (result.code, result.out) == (2, "")
    assert url in result.err


def test_unreachable_api_is_reported_with_its_address(
    isolated: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    monkeypatch.setenv("DATAFLIX_BACKEND_PORT", str(free_port()))
    for command in (("genres",), ("health",), ("rate", "1", "1", "4")):
        result = isolated(*command)
        assert (result.code, result.out) == (4, "")
        assert "http://127.0.0.1:" in result.err
        assert "./run.sh" in result.err


@pytest.fixture
def other_server() -> Iterator[str]:
    """A server that is not the API but speaks HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_other_server_at_the_address_is_reported(
    isolated: Invoke, other_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    result = isolated("--api-url", other_server, "genres")
    assert (result.code, result.out) == (1, "")
    assert "not the Dataflix API" in result.err
