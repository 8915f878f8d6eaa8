"""What a person can cause ends each command with one sentence and an exit code, never with a traceback."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from dataflix_backend.cli import main
from dataflix_backend.queries.api_keys import list_keys
from dataflix_testkit import PostgresServer, free_port

from .support import data
from .support.keys import database
from .support.server import COMMAND, environment

# Runs the backend's command without a standard output.
CLOSES_ITS_OUTPUT = ("/bin/sh", "-c", f'exec "{COMMAND}" "$@" >&-', "sh")


def run(
    environ: dict[str, str],
    *words: str | bytes,
    stdout: int = subprocess.PIPE,
    command: Sequence[str] = (str(COMMAND),),
) -> subprocess.CompletedProcess[bytes]:
    whole = [*map(os.fsencode, command), *map(os.fsencode, words)]
    return subprocess.run(whole, env=environ, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=120)


def sentence(ended: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    """Return the one line of the error."""
    text = ended.stderr.decode()
    assert ended.returncode == status, text
    assert "Traceback" not in text
    assert "Exception ignored" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("Error:")]
    return line


@pytest.fixture
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    "words", [("openapi",), ("keys", "list"), ("keys", "list", "--json"), ("--help",)], ids=" ".join
)
def test_output_that_cannot_be_written(
    pg: PostgresServer, tmp_path: Path, full: int, words: tuple[str, ...]
) -> None:
    ended = run(environment(tmp_path, pg.environ), *words, stdout=full)
    assert "No space left on device" in sentence(ended)


def test_a_secret_that_cannot_be_written_says_what_to_do(
    pg: PostgresServer, tmp_path: Path, full: int
) -> None:
    name = f"lost-{secrets.token_hex(4)}"
    environ = environment(tmp_path, pg.environ)
    told = sentence(run(environ, "keys", "create", name, "--scope", "read", stdout=full))
    assert f"keys rotate {name} --overlap 0" in told
    rotated = run(environ, "keys", "rotate", name, "--overlap", "0")
    assert rotated.returncode == 0
    (row,) = [row for row in list_keys(database(pg)) if row["name"] == name]
    # The lost secret has ended.
    assert row["good_secrets"] == 1


def test_nothing_is_done_when_the_output_is_closed(pg: PostgresServer, tmp_path: Path) -> None:
    name = f"unseen-{secrets.token_hex(4)}"
    for words in (("openapi",), ("keys", "create", name, "--scope", "read")):
        ended = run(environment(tmp_path, pg.environ), *words, command=CLOSES_ITS_OUTPUT)
        assert "Standard output is closed" in sentence(ended)
    assert name not in [row["name"] for row in list_keys(database(pg))]


def test_an_interrupt_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dataflix_backend.server.launch.serve", interrupted)
    result = CliRunner().invoke(main, ["serve"])
    assert (result.exit_code, result.stderr) == (130, "Error: interrupted.\n")


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(environment(tmp_path, {}), "openapi", stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("word", [b"\xff", b"a\x1b[2J", b"a" * 65, "\u202e".encode()])
def test_a_name_that_is_none_is_not_repeated(pg: PostgresServer, tmp_path: Path, word: bytes) -> None:
    ended = run(environment(tmp_path, pg.environ), "keys", "revoke", word)
    assert "must be 1 to 64 of" in sentence(ended, 2)
    assert word not in ended.stderr


@pytest.mark.parametrize("user", ["0", "-1", "9" * 30, "1.5", "\u0665x"])
def test_a_user_that_is_no_id(pg: PostgresServer, tmp_path: Path, user: str) -> None:
    words = ("keys", "create", "of-nobody", "--scope", "read", f"--user={user}")
    assert "--user" in sentence(run(environment(tmp_path, pg.environ), *words), 2)


def test_a_user_that_does_not_exist(pg: PostgresServer, tmp_path: Path) -> None:
    words = ("keys", "create", "of-nobody", "--scope", "read", "--user", str(2**63 - 1))
    assert "There is no user with the id" in sentence(run(environment(tmp_path, pg.environ), *words))


@pytest.mark.parametrize("command", ["keys list", "serve", "sync-model --once"])
def test_settings_that_are_not_utf_8(pg: PostgresServer, tmp_path: Path, command: str) -> None:
    password = b"\xff\xfeCanary-Canary-Canary"
    broken = environment(tmp_path, pg.environ, DATAFLIX_MLFLOW_PORT=str(free_port()))
    broken |= {"DATAFLIX_POSTGRES_BACKEND_PASSWORD": os.fsdecode(password), "DATAFLIX_API_KEY": "\udcffshort"}
    broken["DATAFLIX_BACKEND_PORT"] = str(free_port())
    ended = run(broken, *command.split())
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    assert b"Canary" not in ended.stderr


def test_an_env_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DATAFLIX_POSTGRES_BACKEND_PASSWORD=\xff\xfeCanary-Canary\n")
    ended = run(environment(tmp_path, {}, DATAFLIX_ENV_FILE=str(tmp_path / ".env")), "keys", "list")
    assert "not UTF-8" in sentence(ended)
    assert b"Canary" not in ended.stderr


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    ended = run(environment(tmp_path, {}, DATAFLIX_ENV_FILE=str(long)), "keys", "list")
    sentence(ended)


def test_a_database_without_our_tables(pg: PostgresServer, tmp_path: Path) -> None:
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE empty")
        try:
            environ = environment(tmp_path, pg.environ, DATAFLIX_POSTGRES_DB="empty")
            assert "./run.sh brings it up to date" in sentence(run(environ, "keys", "list"))
        finally:
            cursor.execute("DROP DATABASE empty WITH (FORCE)")
    connection.close()


def test_postgres_that_is_away_or_refuses_the_password(pg: PostgresServer, tmp_path: Path) -> None:
    away = environment(tmp_path, pg.environ, DATAFLIX_POSTGRES_PORT=str(free_port()))
    assert "cannot be reached" in sentence(run(away, "keys", "list"))
    wrong = environment(tmp_path, pg.environ, DATAFLIX_POSTGRES_BACKEND_PASSWORD="Canary-Canary-Canary")
    ended = run(wrong, "keys", "list")
    assert b"Canary" not in ended.stderr
    sentence(ended)
