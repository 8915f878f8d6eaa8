"""The command line, run as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from dataflix_elt.tables import TABLE_NAMES
from dataflix_testkit import free_port
from dataflix_testkit.process import clean_environ

from ..support.engines import Engines

ELT = str(Path(sys.executable).with_name("elt"))


def elt(engines: Engines, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, **engines.source_server.environ, **engines.warehouse_server.environ, **changes}
    return subprocess.run([ELT, *arguments], env=environ, capture_output=True, text=True, check=False)


def test_every_table_is_loaded_and_printed_as_json(engines: Engines) -> None:
    result = elt(engines, "load", "--run-id", "by hand")

    assert result.returncode == 0, result.stderr
    printed = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["table"] for line in printed] == list(TABLE_NAMES)
    assert {line["run_id"] for line in printed} == {"by hand"}
    assert "load_finished run_id=by hand" in result.stderr


def test_one_table_can_be_chosen(engines: Engines) -> None:
    result = elt(engines, "load", "--table", "ratings")

    assert [json.loads(line)["table"] for line in result.stdout.splitlines()] == ["ratings"]


def test_loads_are_incremental_unless_full_is_requested(engines: Engines) -> None:
    elt(engines, "load", "--table", "movies")
    engines.sql("insert into movies (title) values ('Late Arrival')")
    incremental = elt(engines, "load", "--table", "movies", "--verify", "content")
    full = elt(engines, "load", "--table", "movies", "--full")

    printed = [json.loads(result.stdout) for result in (incremental, full)]
    assert [(line["kind"], line["compared"]) for line in printed] == [
        ("incremental", "content"),
        ("full", "content"),
    ]
    assert printed[0]["rows_written"] == 1
    assert printed[0]["rows"] == printed[1]["rows"]


def test_settings_come_from_the_env_file_as_the_messages_say(engines: Engines, tmp_path: Path) -> None:
    values = engines.source_server.environ | engines.warehouse_server.environ
    file = tmp_path / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    environ = clean_environ({"DATAFLIX_ENV_FILE": str(file)})
    command = [ELT, "load", "--table", "movies"]

    def run(**changes: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, env=environ | changes, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    away = run(DATAFLIX_CLICKHOUSE_PORT=str(free_port()))
    assert (away.returncode, away.stderr.startswith("elt: ClickHouse at")) == (1, True)
    file.write_bytes(b"DATAFLIX_POSTGRES_DB=\xff\n")
    assert run().stderr == f"elt: {file} is not UTF-8. Save the file as UTF-8.\n"
    assert run(DATAFLIX_ENV_FILE=str(tmp_path)).stderr == f"elt: {tmp_path} can't be read: Is a directory.\n"


def test_a_failure_is_one_line_and_exit_1(engines: Engines) -> None:
    result = elt(engines, "load", "--table", "ratings", DATAFLIX_CLICKHOUSE_ELT_PASSWORD="")

    assert result.returncode == 1
    assert result.stderr.startswith("elt: DATAFLIX_CLICKHOUSE_ELT_PASSWORD is not set.")
    assert "Traceback" not in result.stderr


def test_a_warehouse_that_is_away_is_one_line_and_exit_1(engines: Engines) -> None:
    result = elt(engines, "load", "--table", "ratings", DATAFLIX_CLICKHOUSE_PORT=str(free_port()))

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("elt: ClickHouse at 127.0.0.1:")


def test_output_that_cannot_be_written_is_one_line_and_exit_1() -> None:
    for words in ("tables", "--help", "load --help"):
        command = ["bash", "-c", f"{ELT} {words} >/dev/full"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert result.stderr.startswith("elt")
        assert result.stderr.endswith(": No space left on device.\n")
        assert result.stderr.count("\n") == 1


def test_a_closed_pipe_ends_without_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([ELT, "tables"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


def test_an_unknown_table_is_refused_with_those_there_are(engines: Engines) -> None:
    result = elt(engines, "load", "--table", "secrets")

    assert result.returncode == 2
    assert "ratings" in result.stderr


def test_the_tables_are_shown(engines: Engines) -> None:
    result = elt(engines, "tables")

    printed = {line["table"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert printed["ratings"]["key"] == ["user_id", "movie_id"]
    assert printed["users"]["columns"]["city"] == "Nullable(String)"
