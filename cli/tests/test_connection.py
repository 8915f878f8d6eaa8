"""Finding the API and its key, and what happens when that fails."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_cli.errors import CliError
from dataflix_cli.settings import connection
from dataflix_testkit import free_port

from .conftest import API_KEY, Invoke, Server


def test_option_wins_over_environment_and_that_over_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATAFLIX_BACKEND_PORT=6001\nDATAFLIX_API_KEY='from the file'\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = connection(None, {}, below)
    assert (found.url, found.key) == ("http://127.0.0.1:6001", "from the file")
    environ = {"DATAFLIX_BACKEND_PORT": "6002", "DATAFLIX_API_KEY": "k"}
    assert connection(None, environ, below).url == "http://127.0.0.1:6002"
    environ["DATAFLIX_API_URL"] = "https://films.example/api/"
    assert connection(None, environ, below).url == "https://films.example/api"
    assert connection("http://localhost:1", environ, below).url == "http://localhost:1"
    assert "from the file" not in repr(found)


def test_named_file_wins_over_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATAFLIX_API_KEY=near\n")
    (tmp_path / "other").write_text("DATAFLIX_API_KEY=named\n")
    assert connection(None, {"DATAFLIX_ENV_FILE": str(tmp_path / "other")}, tmp_path).key == "named"
    with pytest.raises(CliError, match="DATAFLIX_ENV_FILE"):
        connection(None, {"DATAFLIX_ENV_FILE": str(tmp_path / "missing")}, tmp_path)


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")]
)
def test_server_on_every_address_is_asked_on_this_machine(tmp_path: Path, host: str, asked: str) -> None:
    environ = {"DATAFLIX_BACKEND_HOST": host, "DATAFLIX_API_KEY": "k"}
    assert connection(None, environ, tmp_path).url == f"http://{asked}:5002"


def test_missing_key_is_told(lonely: Invoke) -> None:
    ended = lonely("genres")
    assert (ended.code, ended.out) == (5, "")
    assert "DATAFLIX_API_KEY" in ended.err


def test_wrong_key_is_refused(dataflix: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "wrong")
    ended = dataflix("genres")
    assert (ended.code, ended.out) == (5, "")
    assert "./run.sh" in ended.err
    monkeypatch.setenv("DATAFLIX_API_KEY", "schlüssel")
    assert dataflix("genres").code == 2


def test_env_file_is_enough(lonely: Invoke, server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    (tmp_path / ".env").write_text(f"DATAFLIX_BACKEND_PORT={port}\nDATAFLIX_API_KEY={API_KEY}\n")
    assert "Drama" in lonely("genres").out


def test_it_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / ".env").write_text("DATAFLIX_API_KEY=of the project\n")
    monkeypatch.setattr("sys.prefix", str(project / ".venv"))
    assert connection(None, {}, elsewhere).key == "of the project"
    (elsewhere / ".env").write_text("DATAFLIX_API_KEY=nearer\n")
    assert connection(None, {}, elsewhere).key == "nearer"


@pytest.mark.parametrize(
    "url", ["films", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a b"]
)
def test_what_is_no_address_is_refused(lonely: Invoke, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    ended = lonely("--api-url", url, "genres")
    assert (ended.code, ended.out) == (2, "")
    assert url in ended.err


def test_api_that_is_away_is_told_with_its_address(lonely: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    monkeypatch.setenv("DATAFLIX_BACKEND_PORT", str(free_port()))
    for command in (("genres",), ("health",), ("rate", "1", "1", "4")):
        ended = lonely(*command)
        assert (ended.code, ended.out) == (4, "")
        assert "http://127.0.0.1:" in ended.err
        assert "./run.sh" in ended.err


@pytest.fixture
def stranger() -> Iterator[str]:
    """Something else that listens and speaks HTTP."""
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


def test_stranger_at_the_address_is_told(
    lonely: Invoke, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "k")
    ended = lonely("--api-url", stranger, "genres")
    assert (ended.code, ended.out) == (1, "")
    assert "not the Dataflix API" in ended.err
