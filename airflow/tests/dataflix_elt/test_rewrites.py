"""Statements that rewrite a table, or replace its view, under a load: the load reads before them or after."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_elt.clients import postgres
from dataflix_elt.errors import BusyError
from dataflix_elt.loading.load import LoadResult
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.source import snapshot as snapshot_module
from dataflix_elt.tables import Table

from ..support.engines import Engines

Captured = tuple[Table, str]

TRUNCATE = "create temp table kept as table {base}; truncate {base}; insert into {base} table kept"
# With last_xid in place, an upgrade does this to a table that is not captured yet.
REWRITE = "alter table {base} add column more double precision default random()"
VIEW = (
    "drop view {view}; create view {view} as select id, part, value, last_xid as _changed_in from {base};"
    " grant select on {view} to elt_reader"
)
LEDGER = "alter table capture.ledger add column more double precision default random()"
DELETIONS = "alter table capture.deletions add column more double precision default random()"


@pytest.fixture
def filled(engines: Engines, captured: Captured) -> Captured:
    """A thousand rows, loaded once."""
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 1000) i")
    engines.load(table)
    return captured


@contextmanager
def open_transaction(engines: Engines, statements: str) -> Iterator[Connection]:
    connection = psycopg2.connect(engines.source_server.dsn("postgres"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statements)
        yield connection
    finally:
        connection.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def waiting(engines: Engines, what: str) -> bool:
    """Return whether a session waits for the lock of a table."""
    return bool(
        engines.sql(
            "select 1 from pg_stat_activity"
            f" where wait_event_type = 'Lock' and wait_event = 'relation' and {what}"
        )
    )


def load_across(engines: Engines, table: Table, statements: str, *, full: bool) -> LoadResult:
    """Load while a transaction that has run the statements is open; it commits once the load waits for it."""
    with ThreadPoolExecutor(1) as pool, open_transaction(engines, statements) as writer:
        load: Future[LoadResult] = pool.submit(engines.load, table, full=full, verify=Verify.CONTENT)
        wait_until(
            lambda: load.done() or waiting(engines, "application_name = 'dataflix-elt'"), "the load went on"
        )
        writer.commit()
        return load.result()


@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
@pytest.mark.parametrize("statements", [TRUNCATE, REWRITE, VIEW], ids=["truncate", "rewrite", "view"])
def test_a_load_that_waits_for_a_rewrite_sees_the_table_after_it(
    engines: Engines, filled: Captured, statements: str, full: bool
) -> None:
    table, base = filled
    result = load_across(engines, table, statements.format(base=base, view=table.source), full=full)

    source, copy = engines.both(table, base)
    assert result.rows == len(copy) == 1000
    assert source == copy
    assert engines.load(table, verify=Verify.CONTENT).kind == "incremental"


@pytest.mark.parametrize("statements", [LEDGER, DELETIONS], ids=["ledger", "deletions"])
def test_a_rewrite_of_the_change_capture_hides_no_change(
    engines: Engines, filled: Captured, statements: str
) -> None:
    table, base = filled
    engines.sql(f"delete from {base} where id = 1; insert into {base} values (2000, 'x', 1)")
    try:
        result = load_across(engines, table, statements, full=False)
    finally:
        engines.sql(
            "alter table capture.ledger drop column if exists more;"
            " alter table capture.deletions drop column if exists more"
        )

    assert (result.kind, result.rows_written, result.rows_deleted) == ("incremental", 1, 1)
    source, copy = engines.both(table, base)
    assert source == copy


def test_partitions_that_leave_and_come_back_are_seen_whole(engines: Engines, captured: Captured) -> None:
    table, _ = captured
    base = f"{captured[1]}_parts"
    engines.sql(
        f"create table {base} (id bigint, part text, value bigint) partition by range (id);"
        f" create table {base}_1 partition of {base} for values from (1) to (501);"
        f" create table {base}_2 partition of {base} for values from (501) to (1001);"
        f" insert into {base} select i, 'x', i from generate_series(1, 1000) i"
    )
    engines.replace_view(table, f"select id, part, value from {base}")
    move = (
        f"alter table {base} detach partition {base}_2;"
        f" create table {base}_3 (like {base}_2); insert into {base}_3 table {base}_2; truncate {base}_2;"
        f" alter table {base} attach partition {base}_3 for values from (501) to (1001)"
    )

    assert load_across(engines, table, move, full=True).rows == 1000


def test_a_rewrite_that_comes_between_the_two_locks_has_its_turn(
    engines: Engines, filled: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second session waits for the rewrite, which waits for the first: nobody must wait for ever."""
    table, base = filled
    monkeypatch.setattr(snapshot_module, "_LOCK_TIMEOUT", "200ms")
    original = postgres.Session.begin
    begun: list[object] = []
    with ThreadPoolExecutor(1) as pool:

        def begin(self: postgres.Session) -> None:
            begun.append(self)
            if len(begun) == 1:
                statements = f"begin; {TRUNCATE.format(base=base)}; commit"
                begun.append(pool.submit(engines.sql, statements))
                wait_until(lambda: waiting(engines, "query like 'begin; create temp%'"), "nobody waits")
            original(self)

        monkeypatch.setattr(postgres.Session, "begin", begin)
        result = engines.load(table, full=True)

    assert len(begun) == 3
    source, copy = engines.both(table, base)
    assert result.rows == 1000
    assert source == copy


def test_a_table_that_stays_locked_is_named_busy(
    engines: Engines, filled: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, base = filled
    monkeypatch.setitem(postgres._SESSION, "lock_timeout", "200ms")
    monkeypatch.setattr(snapshot_module, "_RETRY_LOCKS_S", 0.0)
    with (
        open_transaction(engines, f"lock table {base} in access exclusive mode"),
        pytest.raises(BusyError, match="Nothing was changed"),
    ):
        engines.load(table, full=True)

    assert engines.load(table).rows == 1000


def test_values_that_alter_table_changes_are_loaded(engines: Engines, filled: Captured) -> None:
    """No trigger on the table fires for them."""
    table, base = filled
    engines.sql(
        f"drop view {table.source}; alter table {base} alter column value type bigint using value * 2;"
        f" create view {table.source} as select id, part, value, last_xid as _changed_in from {base};"
        f" grant select on {table.source} to elt_reader"
    )

    result = engines.load(table, verify=Verify.KEYS)

    source, copy = engines.both(table, base)
    assert (result.kind, source) == ("full", copy)
    assert engines.load(table, verify=Verify.CONTENT).kind == "incremental"
