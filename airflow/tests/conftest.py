"""Real engines for the tests of the ELT."""

import uuid
from collections.abc import Iterator

import pytest

from dataflix_elt.columns import INT64, TEXT, Column
from dataflix_elt.tables import Table
from dataflix_testkit import ClickHouseServer, PostgresServer, clickhouse, postgres

from .support.engines import EVERY_KIND, Engines


@pytest.fixture(scope="session")
def source_server() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def warehouse_server() -> Iterator[ClickHouseServer]:
    with clickhouse() as server:
        yield server


@pytest.fixture(scope="session")
def engines(source_server: PostgresServer, warehouse_server: ClickHouseServer) -> Engines:
    return Engines(source_server, warehouse_server)


@pytest.fixture
def every_kind(engines: Engines) -> tuple[Table, str]:
    """A table with a column of every kind, and the name of the Postgres table behind its view."""
    base = f"public.b_{uuid.uuid4().hex[:12]}"
    columns = ", ".join(f'"{column.name}" {column.kind.source_type}' for column in EVERY_KIND)
    engines.sql(f"create table {base} ({columns})")
    return engines.add_table(EVERY_KIND, ("id",), f"select * from {base}"), base


@pytest.fixture
def captured(engines: Engines) -> tuple[Table, str]:
    """An empty table (id, part, value) whose changes are captured, and its name in Postgres."""
    return engines.add_captured_table()


@pytest.fixture
def numbers(engines: Engines) -> tuple[Table, str]:
    """A small table of 1,000 rows (id, words), and the name of the Postgres table behind its view."""
    base = f"public.b_{uuid.uuid4().hex[:12]}"
    rows = "select i as id, 'word ' || i as words from generate_series(1::bigint, 1000) i"
    engines.sql(f"create table {base} as {rows}")
    return engines.add_table(
        (Column("id", INT64), Column("words", TEXT)), ("id",), f"select * from {base}"
    ), base
