"""One range of times: a full load and an incremental one refuse and carry the same values."""

import psycopg2
import pytest

from dataflix_elt.columns import INT64, TIMESTAMP, Column
from dataflix_elt.errors import InvalidRowsError
from dataflix_elt.tables import Table

from ..support.engines import Engines

Captured = tuple[Table, str]

OUTSIDE = [
    *("infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "1899-12-31 23:59:59.999999+00"),
    *("2300-01-01 00:00:00+00", "9999-12-31", "294276-12-31"),
]
EDGES = ["1900-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "2299-12-31 23:59:59.999999+00"]


@pytest.fixture
def events(engines: Engines) -> Captured:
    """A captured table (id, at) with one row, loaded once."""
    table = engines.add_table(
        (Column("id", INT64), Column("at", TIMESTAMP)), ("id",), "select 1::bigint as id, now() as at"
    )
    base = f"public.b_{table.name.removeprefix('t_')}"
    engines.sql(
        f"create table {base} (id bigint primary key, at timestamptz);"
        f" select capture.track('{base}', '{table.name}', 'id'); insert into {base} values (1, '2020-01-01')"
    )
    engines.replace_view(table, f"select id, at, last_xid as _changed_in from {base}")
    engines.load(table)
    return table, base


@pytest.mark.parametrize("time", OUTSIDE)
def test_times_outside_the_range_are_refused_by_both_loads(
    engines: Engines, events: Captured, time: str
) -> None:
    table, base = events
    engines.sql(f"insert into {base} values (2, %s)", (time,))

    for full in (False, True):
        with pytest.raises(InvalidRowsError, match="1 in at"):
            engines.load(table, full=full)
        assert engines.query(f"select id from raw.{table.name} final") == [(1,)]
    engines.sql(f"delete from {base} where id = 2")
    assert engines.load(table).rows == 1


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_the_ends_of_the_range_are_carried_by_both_loads(
    engines: Engines, events: Captured, full: bool
) -> None:
    table, base = events
    for number, time in enumerate(EDGES, 2):
        engines.sql(f"insert into {base} values (%s, %s)", (number, time))
    engines.load(table, full=full)

    source = engines.sql(f"select id, (extract(epoch from at) * 1000000)::bigint from {base} order by id")
    assert engines.query(
        f"select id, toUnixTimestamp64Micro(at) from raw.{table.name} final order by id"
    ) == [(number, int(time)) for number, time in source]


@pytest.mark.parametrize("time", OUTSIDE)
def test_our_own_tables_refuse_them_at_once(engines: Engines, time: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation, match="movies_created_at_range"):
        engines.sql("insert into movies (title, created_at) values ('Out of time', %s)", (time,))
