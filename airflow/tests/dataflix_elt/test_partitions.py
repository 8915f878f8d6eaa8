"""Tables with partitions or heirs: triggers on them miss changes, so they are refused or loaded in full."""

import psycopg2
import pytest

from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.tables import Table

from ..support.engines import Engines

Captured = tuple[Table, str]

DEFINITION = "(id bigint, part text, value bigint, last_xid xid8 not null default pg_current_xact_id())"


@pytest.mark.parametrize(
    ("create", "name"),
    [
        ("create table {p} {definition} partition by range (id)", "{p}"),
        (
            "create table {p} {definition} partition by range (id);"
            " create table {p}_1 partition of {p} for values from (1) to (9)",
            "{p}_1",
        ),
        ("create table {p} {definition}; create table {p}_1 () inherits ({p})", "{p}"),
        ("create table {p} {definition}; create table {p}_1 () inherits ({p})", "{p}_1"),
        ("create materialized view {p} as select 1 as id, ''::text as part", "{p}"),
    ],
    ids=["partitioned", "partition", "parent", "heir", "materialized view"],
)
def test_what_cannot_be_captured_is_refused_by_name(
    engines: Engines, captured: Captured, create: str, name: str
) -> None:
    parent = f"{captured[1]}_p"
    engines.sql(create.format(p=parent, definition=DEFINITION))
    relation = name.format(p=parent)

    with pytest.raises(psycopg2.errors.RaiseException, match=rf"changes of {relation} cannot be captured"):
        engines.sql(f"select capture.track('{relation}', 'refused', 'id', 'part')")


@pytest.mark.parametrize(
    "become",
    [
        "create table {p} {definition}; alter table {base} inherit {p}",
        "create table {p} {definition} partition by range (id);"
        " alter table {p} attach partition {base} for values from (0) to (10000)",
    ],
    ids=["heir", "partition"],
)
def test_a_captured_table_that_becomes_part_of_another_is_loaded_in_full(
    engines: Engines, captured: Captured, become: str
) -> None:
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 100) i")
    engines.load(table)
    parent = f"{base}_p"
    engines.sql(become.format(p=parent, base=base, definition=DEFINITION))
    # By way of the parent, no trigger for statements on the table fires.
    engines.sql(f"delete from {parent} where id <= 10; update {parent} set value = 0 where id = 50")

    result = engines.load(table, verify=Verify.KEYS)

    assert (result.kind, result.rows) == ("full", 90)
    assert engines.query(f"select count(), min(value) from raw.{table.name} final") == [(90, 0)]
    engines.sql(f"truncate {parent}")
    assert engines.load(table, verify=Verify.KEYS).rows == 0


@pytest.mark.parametrize(
    ("become", "leave"),
    [
        (
            "create table {p} {definition}; alter table {base} inherit {p}",
            "alter table {base} no inherit {p}",
        ),
        ("create table {p} () inherits ({base}); insert into {p} values (999, 'x', 1)", "drop table {p}"),
        (
            "create table {p} {definition} partition by range (id);"
            " alter table {p} attach partition {base} for values from (0) to (10000)",
            "alter table {p} detach partition {base}",
        ),
    ],
    ids=["heir", "parent", "partition"],
)
def test_what_happened_while_a_table_was_part_of_another_is_loaded(
    engines: Engines, captured: Captured, become: str, leave: str
) -> None:
    """At the next load, the table is an ordinary one again."""
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', i from generate_series(1, 100) i")
    engines.load(table)
    names = {"p": f"{base}_p", "base": base, "definition": DEFINITION}
    engines.sql(become.format(**names))
    engines.sql(f"delete from {base if 'inherits' in become else f'{base}_p'} where id <= 10")
    engines.sql(leave.format(**names))

    assert engines.load(table, verify=Verify.KEYS).rows == 90
    source, copy = engines.both(table, base)
    assert source == copy
    assert engines.load(table, verify=Verify.CONTENT).kind == "incremental"
