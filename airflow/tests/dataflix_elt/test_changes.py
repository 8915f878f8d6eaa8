"""Incremental loads: one test per trap between Postgres and ClickHouse."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.tables import TABLES, Table, table_named

from ..support.engines import Engines
from ..support.history import CALLS
from ..support.kills import Moment, load_and_kill

Captured = tuple[Table, str]


@pytest.fixture
def filled(engines: Engines, captured: Captured) -> Captured:
    """A hundred rows, loaded."""
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 100) i")
    engines.load(table)
    return captured


def assert_equal(engines: Engines, captured: Captured) -> None:
    source, copy = engines.both(*captured)
    assert source == copy


@contextmanager
def writer(engines: Engines) -> Iterator[Connection]:
    """A separate session, in a transaction."""
    connection = psycopg2.connect(engines.source_server.dsn("postgres"))
    yield connection
    connection.close()


def run(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_only_what_changed_is_sent(engines: Engines, filled: Captured) -> None:
    table, base = filled
    engines.sql(
        f"insert into {base} values (101, 'x', 1);"
        f" update {base} set value = null where id = 1; delete from {base} where id in (2, 3)"
    )

    result = engines.load(table)
    again = engines.load(table)

    assert (result.kind, result.why, result.rows, result.rows_written, result.rows_deleted) == (
        *("incremental", "", 99),
        *(2, 2),
    )
    assert (again.rows_written, again.rows_deleted, again.transferred) == (0, 0, 0)
    assert_equal(engines, filled)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_changes_of_every_masked_table_are_captured(engines: Engines, table: Table) -> None:
    engines.load(table)

    assert engines.load(table).kind == "incremental"


def test_a_new_pseudonym_is_a_change(engines: Engines) -> None:
    users = table_named("users")
    engines.sql("insert into users (username, email) values ('canary', 'canary@example.org')")
    engines.load(users)
    engines.sql("update users set email = 'finch@example.org' where username = 'canary'")

    assert engines.load(users, verify=Verify.CONTENT).rows_written == 1


def test_rows_that_commit_late_are_not_missed(engines: Engines, filled: Captured) -> None:
    table, base = filled
    with writer(engines) as late, writer(engines) as later:
        run(late, f"insert into {base} values (200, 'late', 1)")
        run(later, f"insert into {base} values (201, 'early', 1)")
        later.commit()
        first = engines.load(table)
        late.commit()
    second = engines.load(table)

    assert (first.rows, second.rows) == (101, 102)
    assert_equal(engines, filled)


def test_a_transaction_that_stays_open_over_many_loads_makes_loads_read_rows_again_and_lose_none(
    engines: Engines, filled: Captured
) -> None:
    table, base = filled
    with writer(engines) as long:
        run(long, f"delete from {base} where id = 1; insert into {base} values (300, 'long', 1)")
        for number in range(5):
            engines.sql(f"update {base} set value = {1000 + number} where id = 50")
            engines.sql(f"insert into {base} values (400, 'passing', 1); delete from {base} where id = 400")
            engines.load(table, verify=Verify.KEYS)
            assert_equal(engines, filled)
        long.commit()
    result = engines.load(table, verify=Verify.KEYS)

    assert (result.rows_written, result.rows_deleted) == (2, 2)
    assert_equal(engines, filled)


def test_rows_written_under_savepoints_are_not_missed(engines: Engines, filled: Captured) -> None:
    table, base = filled
    with writer(engines) as open_:
        # Row versions written under a savepoint carry an id above that of the transaction they belong to.
        run(open_, f"insert into {base} values (500, 'before', 1); savepoint a")
        run(open_, f"insert into {base} values (501, 'under', 1); savepoint b")
        run(open_, f"insert into {base} values (502, 'undone', 1); rollback to b")
        engines.sql(f"insert into {base} values (503, 'another', 1)")
        engines.load(table)
        open_.commit()
    engines.load(table)

    assert_equal(engines, filled)


def test_prepared_transactions_are_not_missed(engines: Engines, filled: Captured) -> None:
    table, base = filled
    with writer(engines) as prepared:
        run(prepared, f"insert into {base} values (600, 'prepared', 1); delete from {base} where id = 7")
        run(prepared, f"prepare transaction '{table.name}'")
    engines.sql(f"update {base} set value = 0 where id = 8")
    engines.load(table)
    engines.load(table)
    connection = psycopg2.connect(engines.source_server.dsn("postgres"))
    connection.autocommit = True
    run(connection, f"commit prepared '{table.name}'")
    connection.close()
    engines.load(table)

    assert_equal(engines, filled)


def test_rows_of_one_copy_are_all_there_after_kills_in_the_middle(engines: Engines, filled: Captured) -> None:
    table, base = filled
    with writer(engines) as copying, copying.cursor() as cursor:
        cursor.copy_expert(
            f"copy {base} (id, part, value) from stdin",
            StringIO("".join(f"{number}\tcopied\t{number}\n" for number in range(1000, 6000))),
        )
        copying.commit()
    assert engines.sql(f"select count(distinct last_xid::text) from {base} where part = 'copied'") == [(1,)]

    # At every third call of either engine.
    kills = 0
    while load_and_kill(table, engines.source, engines.warehouse, Moment(1 + 3 * kills, "middle")):
        kills += 1
        assert kills < CALLS
        shown = engines.query(f"select count() from raw.{table.name} final where part = 'copied'")
        assert shown in ([(0,)], [(5000,)])
    assert kills > 10
    assert engines.load(table, verify=Verify.CONTENT).rows == 5100
    assert_equal(engines, filled)


def test_a_changed_primary_key_leaves_no_old_row(engines: Engines, filled: Captured) -> None:
    table, base = filled
    engines.sql(f"update {base} set id = id + 1000 where id <= 10")
    # Two rows swap their keys: both old keys are recorded as deleted, and both exist.
    engines.sql(
        f"update {base} set id = -1 where id = 20; update {base} set id = 20 where id = 21;"
        f" update {base} set id = 21 where id = -1"
    )

    result = engines.load(table)

    assert result.rows_deleted == 11
    assert_equal(engines, filled)


def test_a_truncated_table_is_loaded_in_full(engines: Engines, filled: Captured) -> None:
    table, base = filled
    engines.sql(f"begin; truncate {base}; insert into {base} values (1, 'after', 1); commit")

    result = engines.load(table)
    again = engines.load(table)

    assert (result.kind, result.why) == ("full", "the table was truncated")
    assert again.kind == "incremental"
    assert_equal(engines, filled)


def test_writers_that_replicate_are_captured_too(engines: Engines, filled: Captured) -> None:
    table, base = filled
    engines.sql(
        f"set session_replication_role = replica; delete from {base} where id = 1;"
        f" insert into {base} values (700, 'replica', 1)"
    )

    result = engines.load(table, verify=Verify.KEYS)

    assert (result.rows_written, result.rows_deleted) == (1, 1)
    assert_equal(engines, filled)


def test_a_writer_cannot_choose_the_transaction_of_a_row(engines: Engines, filled: Captured) -> None:
    table, base = filled
    engines.sql(f"insert into {base} values (800, 'x', 1, '1'); update {base} set last_xid = '1'")

    assert engines.load(table).rows_written == 101
    assert_equal(engines, filled)


def test_a_row_that_comes_back_the_same_after_it_was_deleted_is_there(
    engines: Engines, filled: Captured
) -> None:
    table, base = filled
    # As on a replicated server: an insert that equals an earlier one is dropped, and reported as done.
    engines.admin.command(
        f"alter table raw.{table.name} modify setting non_replicated_deduplication_window = 100"
    )
    for _ in range(2):
        engines.sql(f"delete from {base} where id = 5")
        engines.load(table, run_id="same")
        engines.sql(f"insert into {base} values (5, 'x', 5)")
        engines.load(table, run_id="same")

    assert_equal(engines, filled)


def test_every_load_has_a_version_of_its_own(engines: Engines, filled: Captured) -> None:
    """Of two rows with one version the last one would win, a row over a deletion or vice versa."""
    table, base = filled
    versions = []
    for number in range(4):
        engines.sql(f"update {base} set value = {number} where id = 1")
        versions.append(engines.load(table).version)
        # Recorded versions count, even if one of the state tables is lost.
        engines.admin.command(f"truncate table raw.load_{('versions', 'cursors')[number % 2]}")
        versions.append(engines.load(table).version)

    assert versions == sorted(set(versions))
    assert_equal(engines, filled)


def test_a_deleted_row_stays_deleted_after_cleanup_and_a_late_old_insert(
    engines: Engines, filled: Captured
) -> None:
    """Cleanup removes deletions; what a killed load then still sends must not bring a row back unnoticed."""
    table, base = filled
    engines.sql(f"delete from {base} where id = 9")
    engines.load(table)
    raw = f"raw.{table.name}"
    engines.admin.command(
        f"alter table {raw} modify setting allow_experimental_replacing_merge_with_cleanup = 1"
    )
    engines.admin.command(f"optimize table {raw} final cleanup")
    assert_equal(engines, filled)
    engines.admin.command(f"insert into {raw} (id, part, value, _version) values (9, 'x', 9, 1)")

    with pytest.raises(Exception, match=r"only in the warehouse: \(9,x\)"):
        engines.load(table, verify=Verify.KEYS)
    engines.load(table, full=True)

    assert_equal(engines, filled)


def test_no_raw_table_has_partitions(engines: Engines) -> None:
    """A row whose partition changed would stay in the old one: versions are compared within a partition."""
    tables: list[Any] = engines.query(
        "select name, partition_key, engine_full from system.tables where database = 'raw'"
    )
    specified = {table.name for table in TABLES}

    assert {name for name, *_ in tables} >= specified
    for name, partition_key, engine in tables:
        if name in specified:
            assert partition_key == ""
            assert engine.startswith("ReplacingMergeTree(_version, _is_deleted)")


def test_statistics_of_an_empty_table_do_not_make_a_few_changes_cost_a_scan(
    engines: Engines, captured: Captured
) -> None:
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 50000) i")
    engines.load(table)
    engines.sql(f"delete from {base} where id = 1; update {base} set value = 0 where id = 2")
    before = scans(engines, base)

    engines.load(table, verify=Verify.KEYS)

    # Postgres publishes a session's statistics some time after its end.
    deadline = time.monotonic() + 30
    while (after := scans(engines, base))[1] == before[1] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after[1] > before[1]
    assert after[0] == before[0]


def scans(engines: Engines, base: str) -> tuple[int, int]:
    """Return how many rows sequential scans have read, and how many index scans there were."""
    figures = "select seq_tup_read, idx_scan from pg_stat_user_tables where relid = %s::regclass"
    (row,) = engines.sql(figures, (base,))
    return row[0], row[1]
