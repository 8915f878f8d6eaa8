"""Address and key come from one source: no key goes where it does not belong."""

import itertools
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dataflix_cli.errors import CliError, InputError
from dataflix_cli.settings import HOST, KEY, PORT, URL, connection

from .conftest import Invoke

EXPORTED, STORED = "key-of-the-environment", "key-of-the-file"


@pytest.fixture
def strange_server() -> Iterator[tuple[str, list[str]]]:
    """A server of somebody else, and all that it received."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the library's
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "more",
    [
        "",
        "DATAFLIX_API_KEY=anything",
        # If these were replaced, both keys would be equal, or the address would have the key.
        "DATAFLIX_API_KEY=${DATAFLIX_API_KEY}",
        "DATAFLIX_API_URL=${STRANGE}/${DATAFLIX_API_KEY}",
    ],
)
def test_exported_key_is_not_sent_where_the_folder_says(
    isolated: Invoke,
    strange_server: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    more: str,
) -> None:
    url, received = strange_server
    monkeypatch.setenv(KEY, EXPORTED)
    monkeypatch.setenv("STRANGE", url)
    below = tmp_path / "deep" / "er"
    below.mkdir(parents=True)
    (tmp_path / ".env").write_text(f"DATAFLIX_API_URL={url}\n{more}\n")
    for folder in (tmp_path, below):
        monkeypatch.chdir(folder)
        result = isolated("genres")
        assert (result.code, result.out) == (2, "")
        assert EXPORTED not in result.err
    assert not received


def test_stored_key_is_not_sent_to_an_exported_address(
    isolated: Invoke, strange_server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, received = strange_server
    (tmp_path / ".env").write_text(f"DATAFLIX_API_KEY={STORED}\n")
    assert isolated("--api-url", url, "genres").code == 2
    monkeypatch.setenv(URL, url)
    result = isolated("genres")
    assert result.code == 2
    assert f"{URL} and {KEY} together" in result.err
    monkeypatch.delenv(URL)
    monkeypatch.setenv(PORT, url.rpartition(":")[2])
    assert isolated("genres").code == 2
    assert not received


ADDRESSES = {URL: "http://{}.example", HOST: "{}.example", PORT: None}
PORTS = {"option": "7001", "exported": "7002", "stored": "7003"}


def _sources(origin: str, names: tuple[str, ...], key: str | None) -> dict[str, str]:
    values = {name: (ADDRESSES[name] or PORTS[origin]).format(origin) for name in names}
    return values | ({KEY: key} if key else {})


def test_no_mix_of_option_environment_and_file_crosses_sources(tmp_path: Path) -> None:
    subsets = [names for size in range(4) for names in itertools.combinations((URL, HOST, PORT), size)]
    accepted = 0
    for option, exported, stored, exported_key, stored_key, named in itertools.product(
        (None, "http://option.example"), subsets, subsets, (EXPORTED, None), (STORED, None), (True, False)
    ):
        in_file = _sources("stored", stored, stored_key)
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in in_file.items()))
        environ = _sources("exported", exported, exported_key)
        environ |= {"DATAFLIX_ENV_FILE": str(tmp_path / ".env")} if named else {}
        try:
            found = connection(option, environ, tmp_path)
        except CliError:
            continue
        accepted += 1
        from_file = "stored" in found.url or "7003" in found.url
        from_person = any(mark in found.url for mark in ("option", "exported", "7002"))
        assert not (from_file and from_person)
        assert not (from_file and found.key == EXPORTED)
        assert not (from_person and found.key == STORED)
    assert accepted > 100


@pytest.mark.parametrize("url", ["http://127.0.0.1:6001", "http://localhost:6001/", "HTTP://127.0.0.1:6001"])
def test_given_address_that_is_the_file_s_own_takes_the_file_s_key(tmp_path: Path, url: str) -> None:
    (tmp_path / ".env").write_text(f"DATAFLIX_BACKEND_PORT=6001\nDATAFLIX_API_KEY={STORED}\n")
    assert connection(url, {}, tmp_path).key == STORED
    assert connection(None, {URL: url}, tmp_path).key == STORED
    for other in ("http://127.0.0.1:6002", "https://127.0.0.1:6001", url.rstrip("/") + "/other"):
        with pytest.raises(InputError):
            connection(other, {}, tmp_path)


def test_exported_copy_of_the_file_s_key_goes_to_the_file_s_address(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DATAFLIX_API_URL=http://stored.example\nDATAFLIX_API_KEY={STORED}\n")
    assert connection(None, {KEY: STORED}, tmp_path).url == "http://stored.example"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another account")
def test_file_of_another_account_is_used_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DATAFLIX_API_KEY={STORED}\n")
    os.chown(file, 12345, 12345)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "elsewhere" / "venv"))
    with pytest.raises(InputError, match="another account"):
        connection(None, {}, tmp_path)
    assert connection(None, {"DATAFLIX_ENV_FILE": str(file)}, tmp_path).key == STORED
    # Of the installation that runs: its owner has chosen the program, too.
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    assert connection(None, {}, tmp_path).key == STORED


@pytest.mark.parametrize("name", ["~nobody-of-this-name/.env", "x" * 5000])
def test_unusable_name_of_a_file_is_reported(
    isolated: Invoke, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DATAFLIX_ENV_FILE", name)
    result = isolated("genres")
    assert (result.code, result.out) == (2, "")
    assert "can be looked up" in result.err


def test_file_that_is_not_utf_8_is_reported(isolated: Invoke, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DATAFLIX_API_KEY=caf\xe9\n")
    result = isolated("genres")
    assert (result.code, result.out) == (2, "")
    assert "is not UTF-8" in result.err


@pytest.mark.parametrize("key", [" secret-with-a-blank", "secret-with-a-blank ", "tab\tsecret"])
def test_refused_key_and_password_are_not_printed(
    isolated: Invoke, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(KEY, key)
    monkeypatch.setenv(URL, "http://127.0.0.1:1")
    result = isolated("genres")
    assert result.code == 2
    assert "secret" not in result.err
    monkeypatch.setenv(KEY, "k")
    for url in ("http://ann:secret@127.0.0.1:1", "ftp://ann:secret@x", "http://ann:secret@[::1"):
        result = isolated("--api-url", url, "genres")
        assert (result.code, result.out) == (2, "")
        assert "secret" not in result.err
