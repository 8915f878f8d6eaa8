"""Both engines, access to them as administrator, and loads from one to the other."""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from clickhouse_connect.driver.exceptions import DatabaseError

from dataflix_elt.columns import BOOL, FLOAT32, INT16, INT64, TEXT, TEXT_ARRAY, TIMESTAMP, Column
from dataflix_elt.loading.load import LoadResult, load
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import Table
from dataflix_testkit import ClickHouseServer, PostgresServer

EVERY_KIND = (
    Column("id", INT64),
    Column("small", INT16),
    Column("small_or_null", INT16, nullable=True),
    Column("big_or_null", INT64, nullable=True),
    Column("number", FLOAT32),
    Column("number_or_null", FLOAT32, nullable=True),
    Column("flag", BOOL),
    Column("flag_or_null", BOOL, nullable=True),
    Column("words", TEXT),
    Column("words_or_null", TEXT, nullable=True),
    Column("list", TEXT_ARRAY),
    Column("at", TIMESTAMP),
    Column("at_or_null", TIMESTAMP, nullable=True),
)


@dataclass
class Engines:
    """Both servers, access to them as administrator, and loads from one to the other."""

    source_server: PostgresServer
    warehouse_server: ClickHouseServer
    source: SourceSettings = field(init=False)
    warehouse: WarehouseSettings = field(init=False)

    def __post_init__(self) -> None:
        self.source = SourceSettings.from_environ(self.source_server.environ)
        self.warehouse = WarehouseSettings.from_environ(self.warehouse_server.environ)
        self.admin = self.warehouse_server.client("dataflix_admin", autogenerate_session_id=False)

    def sql(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement in Postgres as its superuser."""
        connection = psycopg2.connect(self.source_server.dsn("postgres"))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor) if cursor.description else []
        finally:
            connection.close()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query in ClickHouse as its administrator."""
        return [tuple(row) for row in self.admin.query(statement).result_rows]

    def load(
        self,
        table: Table,
        run_id: str = "test",
        attempt: int = 1,
        *,
        full: bool = False,
        accept_source: bool = False,
        verify: Verify = Verify.AUTO,
    ) -> LoadResult:
        return load(
            table,
            run_id=run_id,
            attempt=attempt,
            full=full,
            accept_source=accept_source,
            verify=verify,
            source_settings=self.source,
            warehouse_settings=self.warehouse,
        )

    def load_in_a_process(self, table: Table, *words: str) -> "subprocess.Popen[str]":
        """Start `load_numbers.py` on a table of (id, words)."""
        command = [sys.executable, str(Path(__file__).with_name("load_numbers.py")), table.name, *words]
        environ = {**os.environ, **self.source_server.environ, **self.warehouse_server.environ}
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)

    def side_tables(self, table: Table, role: str) -> list[str]:
        prefix = f"{table.name}__{role}_"
        return [name for (name,) in self.query("show tables from raw") if name.startswith(prefix)]

    def audits(self, table: Table) -> list[tuple[Any, ...]]:
        """Return (run_id, rows, source_rows, matches) of every reconciliation, oldest first."""
        return self.query(
            "select run_id, rows, source_rows, matches from raw.load_audit"
            f" where table_name = '{table.name}' order by finished_at"
        )

    def add_captured_table(self) -> tuple[Table, str]:
        """Create a table (id, part, value) whose changes are captured; returns it, and its name there."""
        columns = (Column("id", INT64), Column("part", TEXT), Column("value", INT64, nullable=True))
        table = self.add_table(columns, ("id", "part"), "select 1")
        base = f"public.b_{table.name.removeprefix('t_')}"
        self.sql(
            f"create table {base} (id bigint, part text, value bigint, primary key (id, part));"
            f" select capture.track('{base}', '{table.name}', 'id', 'part')"
        )
        self.replace_view(table, f"select id, part, value, last_xid as _changed_in from {base}")
        return table, base

    @contextmanager
    def being_read(self, table: str) -> Iterator[None]:
        """Keep a query on a table running, so that ClickHouse cannot delete any of its present parts."""
        # The client's id of a query kills it; its text finds it in system.processes.
        query_id = f"reads_{uuid.uuid4().hex}"
        reader = self.warehouse_server.client("dataflix_admin", autogenerate_session_id=False)

        def read() -> None:
            # 100 s at most; it is killed long before.
            with suppress(DatabaseError):
                reader.query(
                    f"SELECT sleepEachRow(0.1) AS {query_id} FROM {table} LIMIT 1000",
                    # Small tables come in one block, for which 3 s of sleep are allowed by default.
                    settings={
                        "query_id": query_id,
                        "max_block_size": 1,
                        "function_sleep_max_microseconds_per_block": 200_000_000,
                    },
                )

        thread = threading.Thread(target=read)
        thread.start()
        try:
            # Only a query that has read a row surely holds the parts; a listed one may not have looked yet.
            running = (
                "SELECT 1 FROM system.processes WHERE read_rows > 0"
                f" AND query LIKE 'SELECT sleepEachRow%{query_id}%'"
            )
            while not self.query(running):
                assert thread.is_alive()
                time.sleep(0.05)
            yield
        finally:
            self.admin.command(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
            thread.join()

    def both(self, table: Table, base: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Return the rows of a captured table and those of its copy, both in order."""
        source = self.sql(f"select id, part, value, last_xid::text::bigint from {base}")
        copy = f"select id, part, value, _changed_in from raw.{table.name} final"
        return sorted(source, key=str), sorted(self.query(copy), key=str)

    def replace_view(self, table: Table, body: str) -> None:
        """Make a table's view show `body`, as elt_reader may read it."""
        self.sql(
            f"drop view if exists {table.source}; create view {table.source} as {body};"
            f" grant select on {table.source} to elt_reader"
        )

    def add_table(self, columns: tuple[Column, ...], key: tuple[str, ...], body: str) -> Table:
        """Create a masked view over `body`, and its raw table."""
        table = Table(f"t_{uuid.uuid4().hex[:12]}", columns, key)
        self.replace_view(table, body)
        definitions = [f"{column.name} {column.warehouse_type}" for column in columns]
        self.admin.command(
            f"create table raw.{table.name} ({', '.join(definitions)}, _changed_in UInt64, _version UInt64,"
            " _is_deleted UInt8, _extracted_at DateTime64(6, 'UTC'), _run_id LowCardinality(String))"
            f" engine = ReplacingMergeTree(_version, _is_deleted) order by ({', '.join(key)})"
        )
        return table
