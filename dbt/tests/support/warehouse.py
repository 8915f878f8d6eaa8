"""A real ClickHouse and dbt, for tests of the project as a whole."""

import json
import os
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataflix_testkit import ClickHouseServer

from .expected import Source
from .manifest import Manifest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ROOT / "dbt"
DBT = ROOT / "airflow" / ".venv" / "bin" / "dbt"
RUN_RESULTS = Path("target", "run_results.json")
RAW_TABLES = (
    "users",
    "movies",
    "watched_movies",
    "ratings",
    "feedback",
    "interactions",
    "event_kinds",
    "item_attributes",
)
# A whole build takes ten seconds on two idle cores; the rest is for a busy machine.
DBT_TIMEOUT_S = 240


@dataclass(frozen=True)
class Result:
    """Result of a dbt command: exit code, output, and for each node its status and number of failures."""

    exit_code: int
    output: str
    statuses: dict[str, str]
    failures: dict[str, int]

    def named(self, status: str) -> set[str]:
        """Return the names of the nodes with this status."""
        return {name for name, ended in self.statuses.items() if ended == status}


class Dbt:
    """dbt in a process of its own that runs one command after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: str, work: Path, environ: Mapping[str, str]) -> Result:
        """Run `dbt words...` on the project; target and logs go to `work`.

        Raises:
            TimeoutError: dbt hangs, or its process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        (work / RUN_RESULTS).unlink(missing_ok=True)
        request = {"words": _words(words), "environ": {**environ, **_folders(work)}}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], DBT_TIMEOUT_S)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            raise TimeoutError(f"dbt {' '.join(words)} gave no answer")
        return _result(work, **json.loads(answer))


@contextmanager
def dbt_process() -> Iterator[Dbt]:
    """Start dbt for the time of the block."""
    runner = Path(__file__).with_name("dbt_runner.py")
    with subprocess.Popen(
        [str(DBT.with_name("python")), str(runner)],
        env=_own_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Dbt(process)
            # It ends with its input, and cleans up.
            process.communicate(timeout=DBT_TIMEOUT_S)
        finally:
            process.kill()


def run_dbt_command(*words: str, work: Path, environ: Mapping[str, str]) -> Result:
    """Run the command `dbt words...` on the project; target and logs go to `work`.

    Raises:
        subprocess.TimeoutExpired: dbt hangs.
    """
    done = subprocess.run(
        [str(DBT), *_words(words)],
        env={**_own_environ(), **environ, **_folders(work)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DBT_TIMEOUT_S,
    )
    return _result(work, done.returncode, done.stdout)


def _words(words: Sequence[str]) -> list[str]:
    return ["--no-use-colors", *words, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]


def _own_environ() -> dict[str, str]:
    """Return this process's environment without the variables of a running stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DATAFLIX_", "DBT_"))}


def _folders(work: Path) -> dict[str, str]:
    return {"DBT_TARGET_PATH": str(work / "target"), "DBT_LOG_PATH": str(work / "logs")}


def _result(work: Path, exit_code: int, output: str) -> Result:
    statuses, failures = {}, {}
    run_results = work / RUN_RESULTS
    if run_results.exists():
        for node in json.loads(run_results.read_text())["results"]:
            # unit_test.dataflix.<model>.<name>, test.dataflix.<name>.<hash>, model.dataflix.<name>
            kind, _, *names = node["unique_id"].split(".")
            name = names[-1] if kind == "unit_test" else names[0]
            statuses[name] = node["status"]
            failures[name] = node["failures"] or 0
    return Result(exit_code, output, statuses, failures)


class Warehouse:
    """The project's databases on a running server."""

    def __init__(self, server: ClickHouseServer, dbt: Dbt, work: Path) -> None:
        """Use ``server``; dbt keeps its files in ``work``, which belongs to this server alone.

        dbt parses the whole project again when the address of the server differs from that of the last parse.
        """
        self._environ = server.environ
        self._dbt = dbt
        self._work = work
        self._admin = server.client("dataflix_admin")
        self._writer = server.client("elt_writer", database="raw")
        self._reader = server.client("reader")

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of equal keys into a raw table, as one part."""
        columns = list(rows[0])
        self._writer.insert(table, [[row[c] for c in columns] for row in rows], column_names=columns)

    def insert_arrow(self, table: str, rows: Any) -> None:
        """Insert a pyarrow table into a raw table."""
        self._writer.insert_arrow(table, rows)

    def command(self, statement: str) -> None:
        """Run a statement as the administrator."""
        self._admin.command(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self._admin.query(query).result_rows]

    def rows_as_reader(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query of the account that may only read the marts."""
        return [tuple(row) for row in self._reader.query(query).result_rows]

    def relations(self) -> set[str]:
        """Return the names of all tables and views of analytics."""
        names = self.rows("SELECT name FROM system.tables WHERE database = 'analytics'")
        return {f"analytics.{name}" for (name,) in names}

    def table(self, name: str, *key: str) -> dict[Any, dict[str, Any]]:
        """Return a table of analytics as rows by key; a key of one column is its bare value.

        Raises:
            AssertionError: two rows have the same key.
        """
        result = self._admin.query(f"SELECT * FROM analytics.{name}")
        rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
        by_key = {row[key[0]] if len(key) == 1 else tuple(row[c] for c in key): row for row in rows}
        assert len(by_key) == len(rows), f"{name} holds a key of {key} twice"
        return by_key

    def dbt(self, *words: str) -> Result:
        """Run dbt on this warehouse."""
        return self._dbt.run(*words, work=self._work, environ=self._environ)

    def compiled_test(self, name: str) -> str:
        """Return the SQL of a singular data test, as the last command that ran it compiled it."""
        folder = self._work / "target" / "compiled" / "dataflix" / "data_tests"
        return (folder / f"{name}.sql").read_text()

    def artifact(self, name: str) -> Any:
        """Return a JSON file that the last dbt command wrote to its target folder."""
        return json.loads((self._work / "target" / name).read_text())

    def manifest(self) -> Manifest:
        """Return the manifest that the last dbt command wrote."""
        return Manifest(self.artifact("manifest.json"))


@dataclass(frozen=True)
class Built:
    """A warehouse after a build, and the rows of its source."""

    warehouse: Warehouse
    source: Source
    result: Result
