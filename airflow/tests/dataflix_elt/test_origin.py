"""Rows of one database never replace those of another unnoticed; a person can accept it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dataflix_elt.errors import OtherSourceError, SchemaDriftError
from dataflix_elt.source.origin import Origin, SourceIdentity, require_same_source
from dataflix_elt.tables import Table

from ..support.engines import Engines

SHOP = SourceIdentity("shop", "7345", 16400)
OWN = SourceIdentity("dataflix", "", 0)
HERE = Origin(SHOP, "1", 5)


@pytest.fixture
def copied(engines: Engines) -> Iterator[Engines]:
    """Our own Postgres, whose rows another database may have brought."""
    yield engines
    engines.sql("delete from source.copies")


def brought_by(engines: Engines, *sources: SourceIdentity) -> None:
    """Say in Postgres which databases brought its rows."""
    engines.sql("delete from source.copies")
    for place, source in enumerate(sources):
        engines.sql(
            "insert into source.copies (entity, source_name, system_identifier, database_oid, database_name,"
            " mode, guarantee, description_hash, read_from, read_at, compared_at, rows_count, left_out_count)"
            " values (%s, %s, nullif(%s, ''), %s, 'app', 'compare', 'all', 'h', '1', now(), now(), 1, 0)",
            (f"events.{place}", source.name, source.system_identifier, source.database_oid),
        )


def origins(engines: Engines, table: Table) -> list[tuple[object, ...]]:
    return engines.query(
        "select source_name, source_system_identifier, source_database_oid, kind from raw.load_audit"
        f" where table_name = '{table.name}' order by version"
    )


def test_a_load_says_where_its_rows_come_from(copied: Engines, captured: tuple[Table, str]) -> None:
    table, base = captured
    copied.sql(f"insert into {base} values (1, 'x', 1)")
    copied.load(table)
    brought_by(copied, replace(SHOP, system_identifier=""))
    copied.load(table, accept_source=True)
    assert origins(copied, table) == [("dataflix", "", 0, "full"), ("shop", "", 16400, "full")]
    ((system, oid),) = copied.query(
        "select distinct system_identifier, database_oid from raw.load_audit"
        f" where table_name = '{table.name}'"
    )
    assert [(system, oid)] == copied.sql(
        "select (select system_identifier::text from pg_control_system()), oid::bigint from pg_database"
        " where datname = current_database()"
    )


@pytest.mark.parametrize("full", [False, True])
def test_rows_of_another_database_are_refused_by_name(
    copied: Engines, captured: tuple[Table, str], full: bool
) -> None:
    table, base = captured
    copied.sql(f"insert into {base} values (1, 'x', 1)")
    brought_by(copied, SHOP)
    copied.load(table)
    copied.sql(f"insert into {base} values (2, 'y', 2)")
    brought_by(copied, replace(SHOP, name="dvdrental", database_oid=16500))

    with pytest.raises(OtherSourceError) as refused:
        copied.load(table, full=full)

    said = str(refused.value)
    assert "shop (database 16400 of cluster 7345)" in said
    assert "dvdrental (database 16500 of cluster 7345)" in said
    assert "./run.sh pipeline --accept-source, or elt load --accept-source" in said
    assert "DATAFLIX_HOME" in said
    assert copied.query(f"select id from raw.{table.name} final") == [(1,)]
    assert len(origins(copied, table)) == 1


def test_who_accepts_the_other_database_gets_all_of_it(copied: Engines, captured: tuple[Table, str]) -> None:
    table, base = captured
    copied.sql(f"insert into {base} values (1, 'x', 1)")
    brought_by(copied, SHOP)
    copied.load(table)
    brought_by(copied, OWN)
    copied.sql(f"insert into {base} values (2, 'y', 2)")
    assert copied.load(table, accept_source=True).kind == "full"
    # From then on it is the one; accepting it again changes nothing.
    assert copied.load(table, accept_source=True).kind == "incremental"
    assert copied.load(table).kind == "incremental"
    source, copy = copied.both(table, base)
    assert source == copy
    assert origins(copied, table)[-1] == ("dataflix", "", 0, "incremental")


def test_nothing_is_refused_for_an_empty_table(copied: Engines, captured: tuple[Table, str]) -> None:
    table, base = captured
    copied.load(table)
    brought_by(copied, SHOP)
    copied.sql(f"insert into {base} values (1, 'x', 1)")
    assert copied.load(table).rows == 1


def test_rows_of_several_databases_are_refused(copied: Engines, captured: tuple[Table, str]) -> None:
    brought_by(copied, SHOP, replace(SHOP, database_oid=16500))
    with pytest.raises(SchemaDriftError, match="Rows of several databases"):
        copied.load(captured[0])


def test_what_an_older_version_loaded_is_taken_over(copied: Engines, captured: tuple[Table, str]) -> None:
    """Its log does not say where the rows came from."""
    table, base = captured
    copied.sql(f"insert into {base} values (1, 'x', 1)")
    copied.load(table)
    copied.admin.command(
        f"alter table raw.load_audit delete where table_name = '{table.name}' settings mutations_sync = 2"
    )
    brought_by(copied, SHOP)
    copied.load(table)
    assert origins(copied, table) == [("shop", "7345", 16400, "incremental")]


@pytest.mark.parametrize(
    ("now", "is_tracked", "full"),
    [
        (HERE, False, False),
        # After a restore, the cursor refuses tracked tables, and a full load repairs all.
        (replace(HERE, system_identifier="2"), True, False),
        (replace(HERE, database_oid=6), False, True),
    ],
)
def test_the_same_source_goes_on(now: Origin, is_tracked: bool, full: bool) -> None:
    require_same_source("ratings", HERE, now, is_tracked=is_tracked, full=full)


def test_a_table_without_change_capture_is_not_overwritten_from_another_postgres_of_ours() -> None:
    other = replace(HERE, system_identifier="2")
    with pytest.raises(
        OtherSourceError, match="database 5 of cluster 1, and this is database 5 of cluster 2"
    ):
        require_same_source("ratings", HERE, other, is_tracked=False, full=False)
