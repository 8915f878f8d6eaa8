"""Start, stop, kill and restart of the server."""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dataflix_testkit import ClickHouseServer, clickhouse, free_port
from dataflix_testkit.process import CORE_BIN, ROOT, clean_environ

from .support.api import PASSWORDS, Api

PROGRAM = str(CORE_BIN / "dataflix-clickhouse")
INIT = ROOT / "clickhouse" / "init"
FAILS_WITHIN_S = 60


def passwords() -> dict[str, str]:
    return dict.fromkeys(PASSWORDS.values(), "x")


def failing(*arguments: str, **environ: str) -> str:
    """Run the server with arguments that must make it fail; return its error output."""
    done = subprocess.run(
        [PROGRAM, "serve", *arguments],
        capture_output=True,
        text=True,
        env=clean_environ({**passwords(), **environ}),
        timeout=FAILS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def wait_for_end(server: ClickHouseServer) -> None:
    """Wait until the server process, a child of this one, is a zombie."""
    deadline = time.monotonic() + FAILS_WITHIN_S
    while Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_data_survive_a_restart_and_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data with a space"
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGINT)):
        with clickhouse(data) as server:
            api = Api(server)
            assert api.text("SELECT count() FROM raw.movies") == str(number)
            api.text(f"INSERT INTO raw.movies (movie_id, title) VALUES ({number}, 'x')")
            api.text("SELECT 1", session_id="open")
            os.kill(server.pid, how)
            wait_for_end(server)


def test_one_process_at_a_time(server: ClickHouseServer, tmp_path: Path) -> None:
    with clickhouse(tmp_path / "data") as first:
        error = failing("--path", str(tmp_path / "data"), "--port", str(free_port()), "--init", str(INIT))
        assert f"process {first.pid}" in error
        assert str(tmp_path / "data") in error
        assert Api(first).text("SELECT 1") == "1"


def test_statements_are_cancelled_when_the_server_stops(tmp_path: Path) -> None:
    answers: list[str] = []
    with clickhouse(tmp_path / "data") as server:
        api = Api(server)
        slow = "SELECT sum(sipHash64(number)) FROM numbers(4000000000000)"
        thread = threading.Thread(target=lambda: answers.append(Api(server).post(slow).text))
        thread.start()
        waiting = api.connect(
            b"", headers={"Transfer-Encoding": "chunked"}, query="INSERT INTO raw.movies FORMAT CSV"
        )
        while not (api.running("numbers(4000000000000)") and api.running("INSERT INTO raw.movies")):
            time.sleep(0.02)
        os.kill(server.pid, signal.SIGTERM)
        wait_for_end(server)
        thread.join()
        assert "Code: 394" in answers[0]
        assert b"Code: 394" in waiting.recv(10_000)
        waiting.close()


def test_a_start_without_init_keeps_the_roles(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert "--init" in failing("--path", data, "--port", str(free_port()))
    with clickhouse(tmp_path / "data"):
        pass
    port = free_port()
    process = subprocess.Popen(
        [PROGRAM, "serve", "--path", data, "--port", str(port)], env=clean_environ(passwords())
    )
    try:
        server = ClickHouseServer("127.0.0.1", port, passwords(), process.pid)
        deadline = time.monotonic() + FAILS_WITHIN_S
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert Api(server, "reader").code("SELECT * FROM raw.users") == 497
    finally:
        process.terminate()
        process.wait()


def test_the_error_for_a_taken_port_names_its_variable(server: ClickHouseServer, tmp_path: Path) -> None:
    error = failing(
        "--path", str(tmp_path / "d"), "--init", str(INIT), DATAFLIX_CLICKHOUSE_PORT=str(server.port)
    )
    assert f"{server.host}:{server.port}" in error
    assert "DATAFLIX_CLICKHOUSE_PORT" in error
    assert not (tmp_path / "d" / "metadata").exists()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"DATAFLIX_CLICKHOUSE_READER_PASSWORD": ""}, "DATAFLIX_CLICKHOUSE_READER_PASSWORD"),
        ({"DATAFLIX_CLICKHOUSE_PORT": "80x"}, "80x"),
        ({"DATAFLIX_CLICKHOUSE_PORT": "0"}, "DATAFLIX_CLICKHOUSE_PORT"),
        ({"DATAFLIX_CLICKHOUSE_HOST": "no.such.host.invalid"}, "no.such.host.invalid"),
    ],
)
def test_errors_name_wrong_settings(tmp_path: Path, environ: dict[str, str], named: str) -> None:
    assert named in failing("--path", str(tmp_path / "d"), "--init", str(INIT), **environ)


def test_the_error_without_a_folder_names_the_options() -> None:
    error = failing()
    assert "--path" in error
    assert "DATAFLIX_HOME" in error


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("CREATE TABLE nowhere.x (a Int8) ENGINE = Memory;", "nowhere"),
        ("SELECT 'not closed", "not closed"),
        ("GRANT SELECT ON raw.* TO somebody;", "somebody"),
        ("REVOKE SELECT ON raw.* FROM analytics_reader;", "REVOKE"),
        ("GRANT SELECT ON raw.* TO;", "GRANT"),
        ("-- nothing here", "no SQL"),
    ],
)
def test_errors_quote_wrong_init_sql(tmp_path: Path, script: str, expected: str) -> None:
    init = tmp_path / "init"
    init.mkdir()
    (init / "10.sql").write_text(script)
    if "no SQL" not in expected:
        for path in INIT.glob("*.sql"):
            (init / path.name).write_text(path.read_text())
    assert expected in failing("--path", str(tmp_path / "d"), "--init", str(init), "--port", str(free_port()))


def test_errors_name_an_unusable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (str(tmp_path / "file"), str(tmp_path / "with?mark")):
        assert path in failing("--path", path, "--init", str(INIT), "--port", str(free_port()))


def test_no_password_is_stored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with clickhouse(data) as server:
        Api(server).text("SELECT 'a personal value'")
        secrets = [server.environ[variable].encode() for variable in PASSWORDS.values()]
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path
    assert (data / "config").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("words", [("--help",), ("serve", "--help")])
def test_output_that_cannot_be_written_is_one_sentence(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
