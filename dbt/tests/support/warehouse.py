"""A real ClickHouse and the real dbt command, for tests of the project as a whole."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataflix_testkit import ClickHouseServer

from .expected import Source
from .manifest import Manifest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ROOT / "dbt"
DBT = ROOT / "airflow" / ".venv" / "bin" / "dbt"
RAW_TABLES = ("users", "movies", "watched_movies", "ratings", "feedback")
# A whole build takes about ten seconds alone on two cores; the rest is for a busy machine.
DBT_TIMEOUT_S = 240


@dataclass(frozen=True)
class Result:
    """What one dbt command did: exit status, output, and by node name the status and count of failures."""

    exit_code: int
    output: str
    statuses: dict[str, str]
    failures: dict[str, int]

    def named(self, status: str) -> set[str]:
        """Return the names of the nodes that ended in the status."""
        return {name for name, ended in self.statuses.items() if ended == status}


def run_dbt(*words: str, work: Path, environ: Mapping[str, str]) -> Result:
    """Run `dbt words...` on the project; target and logs go to `work`.

    Raises:
        subprocess.TimeoutExpired: dbt hangs.
    """
    target = work / "target"
    run_results = target / "run_results.json"
    run_results.unlink(missing_ok=True)
    ours = ("DATAFLIX_", "DBT_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [str(DBT), "--no-use-colors", *words, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)],
        env={**inherited, **environ, "DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(work / "logs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DBT_TIMEOUT_S,
    )
    statuses, failures = {}, {}
    if run_results.exists():
        for node in json.loads(run_results.read_text())["results"]:
            # unit_test.dataflix.<model>.<name>, test.dataflix.<name>.<hash>, model.dataflix.<name>
            kind, _, *names = node["unique_id"].split(".")
            name = names[-1] if kind == "unit_test" else names[0]
            statuses[name] = node["status"]
            failures[name] = node["failures"] or 0
    return Result(done.returncode, done.stdout, statuses, failures)


class Warehouse:
    """The project's databases on a running server."""

    def __init__(self, server: ClickHouseServer, work: Path) -> None:
        self._environ = server.environ
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
        """Return the rows of a query, run by the user who may read the marts and nothing else."""
        return [tuple(row) for row in self._reader.query(query).result_rows]

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
        """Run dbt against this warehouse."""
        return run_dbt(*words, work=self._work, environ=self._environ)

    def artifact(self, name: str) -> Any:
        """Return a JSON file that the last dbt command wrote to its target folder."""
        return json.loads((self._work / "target" / name).read_text())

    def manifest(self) -> Manifest:
        """Return the manifest that the last dbt command wrote."""
        return Manifest(self.artifact("manifest.json"))


@dataclass(frozen=True)
class Built:
    """A warehouse after a build, and what its source holds."""

    warehouse: Warehouse
    source: Source
    result: Result
