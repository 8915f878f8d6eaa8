"""Whatever a person does to the streams, one plain sentence and an exit code end the command."""

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from .conftest import Invoke, Server
from .support.terminal import COMMAND


def shell(server: Server, folder: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which $D is the command."""
    environ = {**server.environ, "D": str(COMMAND), **environ}
    return subprocess.run(
        ["bash", "-c", script],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "movies list",
        "movies list --json",
        "genres",
        "model",
        "users show neo",
        "--help",
        "--version",
        "completion zsh",
    ],
)
def test_output_on_a_full_disk_is_reported(server: Server, tmp_path: Path, arguments: str) -> None:
    result = shell(server, tmp_path, f"$D {arguments} > /dev/full")
    assert result.returncode == 1
    assert result.stderr == "Error: The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("arguments", ["movies list --limit 100", "movies list --limit 100 --json", "--help"])
def test_closed_pipe_is_success_whenever_it_closes(server: Server, tmp_path: Path, arguments: str) -> None:
    for reader in ("true", "head -n 1", "head -c 1"):
        script = f"$D {arguments} | {reader} > /dev/null; exit ${{PIPESTATUS[0]}}"
        result = shell(server, tmp_path, script)
        assert (result.returncode, result.stderr) == (0, "")


def test_closed_output_is_refused_before_anything_is_done(server: Server, tmp_path: Path) -> None:
    result = shell(server, tmp_path, "$D users create ghost ghost@example.org >&-")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: Standard output is closed.")
    assert shell(server, tmp_path, "$D users show ghost").returncode == 3


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_error_that_cannot_be_written_keeps_its_code(server: Server, tmp_path: Path, where: str) -> None:
    for arguments, code in (("users show nobody", 3), ("nonsense", 2), ("genres", 0)):
        result = shell(server, tmp_path, f"$D {arguments} {where}")
        assert result.returncode == code
        assert "nobody" not in result.stdout
        assert "nonsense" not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "users show CAF",
        "users list CAF",
        "users create CAF x@example.org",
        "users create x CAF@example.org",
        "movies show CAF",
        "movies list --genre CAF",
        "recommend neo --exclude CAF",
        "rate neo CAF 4",
        "block add neo CAF",
        "rules add pin 1 --owner CAF --until 2199-01-01",
        "feedback CAF clicked 1 --position 1",
    ],
)
def test_argument_that_is_not_utf_8_is_refused(server: Server, tmp_path: Path, arguments: str) -> None:
    script = "$D " + arguments.replace("CAF", "$'caf\\xe9'")
    result = shell(server, tmp_path, script)
    assert (result.returncode, result.stdout) == (2, "")
    assert "is not UTF-8" in result.stderr
    assert "Traceback" not in result.stderr


def test_folder_that_is_gone_is_reported(server: Server, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    result = shell(server, gone, f"rmdir {gone}; $D genres")
    assert (result.returncode, result.stdout) == (2, "")
    assert "current folder" in result.stderr


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31T23:59:59"])
def test_time_without_utc_is_refused(server: Server, tmp_path: Path, moment: str, zone: str) -> None:
    result = shell(server, tmp_path, f"$D watched add neo 1 --at {moment}", TZ=zone)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


def test_question_without_an_answer_does_nothing(server: Server, tmp_path: Path) -> None:
    for answer in ("", "n\\n"):
        result = shell(server, tmp_path, f"printf '{answer}' | $D users erase neo")
        assert (result.returncode, result.stdout) == (130, "")
        assert result.stderr.endswith("Cancelled.\n")
    assert shell(server, tmp_path, "$D users show neo").returncode == 0


def test_export_replaces_a_file_that_others_can_read(dataflix: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text("old")
    file.chmod(0o644)
    (tmp_path / "link.json").symlink_to(file)
    assert dataflix("users", "export", "neo", "--file", str(tmp_path / "link.json")).code == 0
    assert json.loads(file.read_text())["user"]["username"] == "neo"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link.json").is_symlink()
    assert dataflix("users", "export", "neo", "--file", "").code == 2
    full = dataflix("users", "export", "neo", "--file", "/dev/full")
    assert (full.code, full.out) == (2, "")
    assert "No space left" in full.err
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert dataflix("users", "export", "neo", "--file", str(tmp_path / "loop")).code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "loop", "mine.json"]


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers everything with the test's text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(request.param)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the library's
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "answering",
    [b"[]", b"null", b"{}", b'{"data": 1}', b'{"data": [1], "meta": {}}', b"\xff\xfe", b"", b"[" * 100_000],
    indirect=True,
    ids=range(8),
)
def test_answer_of_another_server_is_reported(
    isolated: Invoke, answering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", "the-key-of-nobody")
    for arguments in (("genres",), ("movies", "list"), ("users", "show", "1"), ("model",)):
        result = isolated("--api-url", answering, *arguments)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("Error: ")
        assert result.err.count("\n") <= 2
        assert "Traceback" not in result.err
        assert "the-key-of-nobody" not in result.err


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"])
def test_host_that_cannot_exist_is_refused(
    isolated: Invoke, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("DATAFLIX_API_KEY", os.urandom(8).hex())
    result = isolated("--api-url", f"http://{host}", "genres")
    assert (result.code, result.out) == (2, "")
    assert "is not an address" in result.err
