"""A source or a warehouse that differs from the definition stops the load before it changes anything."""

from collections.abc import Iterator

import pytest

from dataflix_elt.columns import INT64, TEXT, TEXT_ARRAY, TIMESTAMP, Column
from dataflix_elt.errors import EltError, InvalidRowsError, ReconciliationError, SchemaDriftError, SourceError
from dataflix_elt.tables import Table

from ..support.engines import Engines

COLUMNS = (
    Column("id", INT64),
    Column("words", TEXT),
    Column("list", TEXT_ARRAY),
    Column("at", TIMESTAMP),
)
GOOD = "select 1::bigint as id, 'a' as words, array['x'] as list, timestamptz '2024-01-01 00:00:00+00' as at"


@pytest.fixture(scope="module")
def table(engines: Engines) -> Table:
    table = engines.add_table(COLUMNS, ("id",), GOOD)
    engines.load(table, run_id="good")
    return table


@pytest.fixture(autouse=True)
def untouched(engines: Engines, table: Table) -> Iterator[None]:
    before = engines.query("show tables from raw"), engines.audits(table)
    yield
    assert (engines.query("show tables from raw"), engines.audits(table)) == before


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (GOOD.replace("'a' as words", "'a' as word"), SchemaDriftError, "column words is missing"),
        (GOOD.replace("1::bigint", "1::int"), SchemaDriftError, "column id is integer, expected bigint"),
        (
            GOOD.replace("timestamptz", "timestamp"),
            SchemaDriftError,
            "column at is timestamp without time zone",
        ),
        (GOOD.replace("1::bigint", "null::bigint"), InvalidRowsError, "1 in id"),
        (GOOD.replace("'a'", "null::text"), InvalidRowsError, "1 in words"),
        (GOOD.replace("array['x']", "array['x', null]"), InvalidRowsError, "1 in list"),
        (GOOD.replace("array['x']", "array[array['x'], array['y']]"), InvalidRowsError, "1 in list"),
        (GOOD.replace("2024-01-01", "1899-12-31"), InvalidRowsError, "1 in at"),
        (GOOD.replace("2024-01-01 00:00:00+00", "infinity"), InvalidRowsError, "1 in at"),
        (f"{GOOD} union all {GOOD}", ReconciliationError, "2 rows but only 1 different keys"),
    ],
)
def test_a_changed_source_is_refused(
    engines: Engines, table: Table, body: str, error: type[EltError], said: str
) -> None:
    engines.replace_view(table, body)

    with pytest.raises(error, match=said):
        engines.load(table)


def test_a_view_that_is_gone_is_named(engines: Engines, table: Table) -> None:
    engines.sql(f"drop view {table.source}")

    with pytest.raises(SchemaDriftError, match=rf"{table.source} does not exist"):
        engines.load(table)


def test_an_error_of_the_source_shows_no_value(engines: Engines, table: Table) -> None:
    engines.replace_view(
        table, GOOD.replace("1::bigint", "(select v::bigint from (values ('Jane Canary')) x (v))")
    )

    with pytest.raises(SourceError, match="22P02") as caught:
        engines.load(table)

    assert "Canary" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_table_outside_the_reader_s_rights_is_refused(engines: Engines, table: Table) -> None:
    engines.replace_view(table, GOOD)
    engines.sql(f"revoke select on {table.source} from elt_reader")

    with pytest.raises(SourceError, match="permission denied"):
        engines.load(table)


def test_a_changed_raw_table_is_refused(engines: Engines, table: Table) -> None:
    engines.replace_view(table, GOOD)
    engines.admin.command(f"alter table raw.{table.name} modify column words LowCardinality(String)")
    try:
        with pytest.raises(SchemaDriftError, match=r"words is LowCardinality\(String\), expected String"):
            engines.load(table)
    finally:
        engines.admin.command(f"alter table raw.{table.name} modify column words String")
