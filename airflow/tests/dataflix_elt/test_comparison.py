"""The comparison at the end of each load: what it must notice, what it reports, and what repairs it."""

from datetime import UTC, datetime, timedelta

import pytest

from dataflix_elt.errors import InvalidRowsError, ReconciliationError, SchemaDriftError
from dataflix_elt.loading import reconciliation
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.tables import Table

from ..support.engines import Engines

Captured = tuple[Table, str]


@pytest.fixture
def filled(engines: Engines, captured: Captured) -> Captured:
    """Thirty thousand rows, loaded: more than one bucket."""
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 30000) i")
    engines.load(table)
    return captured


def without_triggers(engines: Engines, base: str, statement: str) -> None:
    engines.sql(
        f"alter table {base} disable trigger user; {statement}; alter table {base} enable trigger user;"
        + "".join(
            f"alter table {base} enable always trigger zz_capture_{name};"
            for name in ("stamp", "insert", "update", "delete", "truncate", "old_key")
        )
    )


@pytest.mark.parametrize("verify", list(Verify))
def test_one_row_that_went_missing_in_the_warehouse_raises_the_alarm(
    engines: Engines, filled: Captured, verify: Verify
) -> None:
    table, _ = filled
    before = engines.query(f"select max(version) from raw.load_cursors where table_name = '{table.name}'")
    engines.admin.command(f"alter table raw.{table.name} delete where id = 777 settings mutations_sync = 2")

    with pytest.raises(ReconciliationError) as alarm:
        engines.load(table, run_id="alarm", verify=verify)

    said = str(alarm.value)
    assert f"masked.{table.name}" in said
    assert "rows: source 30000, loaded 29999" in said
    assert "missing in the warehouse: (777,x)" in said
    assert f"elt load --full --table {table.name}" in said
    assert engines.audits(table)[-1] == ("alarm", 29999, 30000, False)
    # The cursor stays, and so does the error, until somebody repairs the table.
    assert before == engines.query(
        f"select max(version) from raw.load_cursors where table_name = '{table.name}'"
    )
    with pytest.raises(ReconciliationError):
        engines.load(table, verify=verify)
    assert engines.load(table, full=True).rows == 30000
    assert engines.load(table, verify=verify).kind == "incremental"


@pytest.mark.parametrize(
    "damage",
    [
        "truncate table raw.{table}",
        "alter table raw.{table} drop partition tuple()",
        "alter table raw.{table} detach partition tuple()",
        "insert into raw.{table} (id, part, _version) values (0, 'planted', 1)",
        "alter table raw.{table} update _is_deleted = 1 where id = 777 settings mutations_sync = 2",
    ],
)
@pytest.mark.parametrize("has_changes", [True, False])
def test_whatever_is_done_to_the_raw_table_is_noticed_without_comparing_content(
    engines: Engines, filled: Captured, damage: str, has_changes: bool
) -> None:
    table, base = filled
    engines.load(table, verify=Verify.KEYS)
    engines.admin.command(damage.format(table=table.name))
    if has_changes:
        engines.sql(f"update {base} set value = 0 where id = 1; delete from {base} where id = 2")

    with pytest.raises(ReconciliationError):
        engines.load(table, verify=Verify.KEYS)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("insert into {base} values (0, 'planted', 1, '3')", "missing in the warehouse: (0,planted)"),
        ("delete from {base} where id = 5", "only in the warehouse: (5,x)"),
        ("update {base} set value = -1 where id = 6", "different: (6,x)"),
        ("update {base} set part = 'y' where id = 7", "missing in the warehouse: (7,y)"),
    ],
    ids=["insert", "delete", "update", "key"],
)
def test_what_happened_without_triggers_is_found_when_content_is_compared(
    engines: Engines, filled: Captured, statement: str, said: str
) -> None:
    table, base = filled
    without_triggers(engines, base, statement.format(base=base))
    # The ledger cannot know of it.
    engines.load(table, verify=Verify.KEYS)

    with pytest.raises(ReconciliationError) as alarm:
        engines.load(table, verify=Verify.CONTENT)

    assert said in str(alarm.value)
    # A full load repairs it for good, although the ledger still does not know of it.
    engines.load(table, full=True)
    assert engines.load(table, verify=Verify.KEYS).compared == "keys"
    source, copy = engines.both(table, base)
    assert source == copy


def test_a_wrong_ledger_while_all_rows_are_equal_is_logged_and_raises_nothing(
    engines: Engines, filled: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    table, _ = filled
    engines.sql(f"insert into capture.ledger (table_name, row_count, checksum) values ('{table.name}', 1, 1)")

    with caplog.at_level("INFO"):
        result = engines.load(table, verify=Verify.KEYS)

    assert result.compared == "content"
    assert [record for record in caplog.records if record.getMessage().startswith("ledger_mismatch")]
    # The next load starts from the ledger as it is.
    assert engines.load(table, verify=Verify.KEYS).compared == "keys"


def test_compacting_the_ledger_changes_no_sum(engines: Engines, filled: Captured) -> None:
    table, base = filled
    for number in range(20):
        engines.sql(f"update {base} set value = {number} where id = {number}")
    before = engines.sql(f"select * from masked._tracked where table_name = '{table.name}'")
    # All tables share it: enough rounds for what other tests have left.
    for _ in range(5):
        engines.sql("select capture.compact()")

    assert engines.sql(f"select * from masked._tracked where table_name = '{table.name}'") == before
    assert engines.sql(f"select count(*) from capture.ledger where table_name = '{table.name}'") == [(1,)]
    engines.load(table, verify=Verify.KEYS)


def test_pruned_deletions_make_the_next_load_full_only_if_it_needs_them(
    engines: Engines, filled: Captured
) -> None:
    table, base = filled
    engines.sql(f"delete from {base} where id = 1")
    engines.load(table)
    engines.sql("select capture.prune('0 s')")
    loaded_already = engines.load(table)
    engines.sql(f"delete from {base} where id = 2")
    engines.sql("select capture.prune('0 s')")
    forgotten = engines.load(table)

    assert loaded_already.kind == "incremental"
    assert forgotten.why == "the source has pruned deletions since the last load"
    assert forgotten.rows == 29998


def test_small_tables_are_always_compared_by_content_and_large_ones_once_a_day(
    engines: Engines, filled: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, _ = filled
    small = engines.load(table)
    monkeypatch.setattr(reconciliation, "_ALWAYS_COMPARED_ROWS", 1000)
    large = engines.load(table)
    yesterday = datetime.now(UTC) - timedelta(hours=21)
    engines.admin.command(
        "alter table raw.load_cursors update compared_at = "
        f"toDateTime64('{yesterday:%Y-%m-%d %H:%M:%S}', 6, 'UTC') where table_name = '{table.name}'"
        " settings mutations_sync = 2"
    )
    next_day = engines.load(table)
    at_once = engines.load(table)

    assert [load.compared for load in (small, large, next_day, at_once)] == [
        *("content", "keys", "content", "keys")
    ]


def test_a_table_that_nobody_touched_is_not_read(
    engines: Engines, filled: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, _ = filled
    engines.load(table, verify=Verify.KEYS)

    def unread(*_: object) -> None:
        raise AssertionError("the raw table was read")

    monkeypatch.setattr("dataflix_elt.warehouse.warehouse.Warehouse.state", unread)
    monkeypatch.setattr("dataflix_elt.warehouse.warehouse.Warehouse.fingerprint", unread)

    assert engines.load(table, verify=Verify.KEYS).rows == 30000


def test_of_a_large_table_only_the_changed_keys_are_read_and_merges_do_not_matter(
    engines: Engines, filled: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, base = filled
    engines.load(table, verify=Verify.KEYS)

    def unread(*_: object) -> None:
        raise AssertionError("all of the raw table was read")

    monkeypatch.setattr("dataflix_elt.warehouse.warehouse.Warehouse.state", unread)
    for number in range(5):
        engines.sql(
            f"update {base} set value = {number} where id % 1000 = {number};"
            f" delete from {base} where id = {number};"
            f" insert into {base} values ({number}, 'again', {number})"
        )
        assert engines.load(table, verify=Verify.KEYS).compared == "keys"
        if number == 2:
            engines.admin.command(f"optimize table raw.{table.name} final")
    monkeypatch.undo()

    assert engines.load(table, verify=Verify.CONTENT).compared == "content"


def test_a_value_that_does_not_fit_stops_an_incremental_load_before_anything_is_touched(
    engines: Engines, captured: Captured
) -> None:
    table, base = captured
    engines.load(table)
    view = f"select nullif(id, 13) as id, part, value, last_xid as _changed_in from {base}"
    engines.replace_view(table, view)
    engines.sql(f"insert into {base} values (13, 'x', 1), (14, 'x', 1)")
    before = engines.query("show tables from raw"), engines.audits(table)

    with pytest.raises(InvalidRowsError, match="1 in id"):
        engines.load(table)

    assert (engines.query("show tables from raw"), engines.audits(table)) == before
    assert engines.query(f"select count() from raw.{table.name}") == [(0,)]


def test_a_new_column_is_loaded_for_all_rows_and_a_vanished_one_is_refused(
    engines: Engines, filled: Captured
) -> None:
    table, base = filled
    # A default stamps no row, so an incremental load would leave the column empty.
    engines.sql(f"alter table {base} add column mood text default 'calm'")
    engines.replace_view(table, f"select id, part, value, mood, last_xid as _changed_in from {base}")

    first = engines.load(table)
    engines.sql(f"update {base} set mood = 'merry' where id = 1")
    second = engines.load(table, verify=Verify.CONTENT)

    assert (first.kind, first.why) == ("full", "the raw table lacks columns")
    assert (second.kind, second.rows_written) == ("incremental", 1)
    assert engines.query(f"select mood, count() from raw.{table.name} final group by mood order by mood") == [
        *(("calm", 29999), ("merry", 1))
    ]
    engines.replace_view(table, f"select id, part, value, last_xid as _changed_in from {base}")
    with pytest.raises(SchemaDriftError, match=r"mood is Nullable\(String\), expected no such column"):
        engines.load(table)


def test_an_older_warehouse_gets_its_column_by_a_full_load(engines: Engines, filled: Captured) -> None:
    table, _ = filled
    engines.admin.command(f"alter table raw.{table.name} drop column _changed_in")

    assert engines.load(table).kind == "full"
    assert engines.load(table).kind == "incremental"
