"""A load refuses a source with another history than the cursor's, and a full load works."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from dataflix_elt.errors import CursorInvalidError
from dataflix_elt.loading.load import LoadResult, load
from dataflix_elt.source.capture import Position, require_same_history
from dataflix_elt.tables import Table
from dataflix_testkit import PostgresServer, postgres

from ..support.clusters import backed_up, run, source, started
from ..support.engines import Engines

HERE = Position("7", 2, 3, 4, 3 << 32, is_standby=False)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(HERE, system_identifier="8"), "system identifier is 8, and was 7"),
        (replace(HERE, timeline=3), "timeline is 3, and was 2: it was restored"),
        (replace(HERE, epoch=4), "epoch of transaction ids is 4, and was 3"),
        (replace(HERE, database_oid=5), "database's oid is 5, and was 4"),
        (replace(HERE, xmin=(3 << 32) - 1), "transaction ids went back"),
        (replace(HERE, timeline=0, is_standby=True), "it is a standby"),
    ],
)
def test_another_history_is_refused_and_the_repair_named(now: Position, said: str) -> None:
    with pytest.raises(CursorInvalidError, match=said) as refused:
        require_same_history("ratings", HERE, now, "elt load --full --table ratings")

    assert "elt load --full --table ratings" in str(refused.value)


def test_the_same_history_goes_on() -> None:
    require_same_history("ratings", HERE, HERE, "")
    require_same_history("ratings", HERE, replace(HERE, xmin=HERE.xmin + 1), "")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of Postgres can reach."""
    with tempfile.TemporaryDirectory(prefix="dataflix-pg-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture
def loaded_table(engines: Engines, primary: PostgresServer) -> Table:
    """A table of `primary`, loaded."""
    theirs = Engines(primary, engines.warehouse_server)
    table, base = theirs.add_captured_table()
    theirs.sql(f"insert into {base} values (1, 'x', 1)")
    assert theirs.load(table).rows == 1
    return table


def loaded(engines: Engines, server: PostgresServer, table: Table, **options: Any) -> LoadResult:
    return load(
        table,
        run_id="test",
        source_settings=source(server),
        warehouse_settings=engines.warehouse,
        **options,
    )


def test_a_standby_is_refused_and_so_it_is_once_promoted(
    engines: Engines, primary: PostgresServer, loaded_table: Table, folder: Path
) -> None:
    copy = backed_up(primary, folder / "standby", standby=True)
    with started(copy, primary) as standby:
        with pytest.raises(CursorInvalidError, match="it is a standby"):
            loaded(engines, standby, loaded_table)
        # A full load works, and records no cursor.
        assert loaded(engines, standby, loaded_table, full=True).rows == 1

        run("pg_ctl", "promote", "-D", str(copy), "-w")

        with pytest.raises(CursorInvalidError, match="timeline is 2, and was 1: it was restored"):
            loaded(engines, standby, loaded_table)
        assert loaded(engines, standby, loaded_table, full=True).kind == "full"
        assert loaded(engines, standby, loaded_table).kind == "incremental"
    with pytest.raises(CursorInvalidError, match="timeline is 1, and was 2"):
        loaded(engines, primary, loaded_table)


def test_a_new_epoch_is_refused_and_changes_are_found_after_the_repair(
    engines: Engines, primary: PostgresServer, loaded_table: Table, folder: Path
) -> None:
    copy = backed_up(primary, folder / "copy")
    with started(copy, primary):
        pass
    run("pg_resetwal", "-e", "1", "-D", str(copy))
    with started(copy, primary) as server:
        with pytest.raises(CursorInvalidError, match="epoch of transaction ids is 1, and was 0"):
            loaded(engines, server, loaded_table)
        assert loaded(engines, server, loaded_table, full=True).rows == 1
        theirs = Engines(server, engines.warehouse_server)
        theirs.sql(f"insert into public.b_{loaded_table.name.removeprefix('t_')} values (2, 'x', 2)")

        result = loaded(engines, server, loaded_table)

    assert (result.kind, result.rows_written, result.rows) == ("incremental", 1, 2)
    assert result.source_xmin > 1 << 32


def test_a_dump_restored_elsewhere_is_refused_and_its_stamps_are_replaced(
    engines: Engines, primary: PostgresServer, loaded_table: Table, folder: Path
) -> None:
    theirs = Engines(primary, engines.warehouse_server)
    base = f"public.b_{loaded_table.name.removeprefix('t_')}"
    dump = folder / "dump"
    run("pg_dump", "-Fc", "-d", primary.dsn("postgres"), "-f", str(dump))
    theirs.sql(f"insert into {base} values (2, 'lost', 2)")
    theirs.load(loaded_table)
    maintenance = psycopg2.connect(primary.dsn("postgres", "postgres"))
    maintenance.autocommit = True
    with maintenance.cursor() as cursor:
        cursor.execute("alter database dataflix rename to gone")
        cursor.execute("create database dataflix template template0")
    maintenance.close()
    run("pg_restore", "-d", primary.dsn("postgres"), str(dump))

    with pytest.raises(CursorInvalidError, match="database's oid is"):
        theirs.load(loaded_table)
    assert theirs.load(loaded_table, full=True).rows == 1

    # Stamps of another cluster may be higher than this one's: each run would read those rows again.
    theirs.sql(f"alter table {base} disable trigger user; update {base} set last_xid = '1000000000'")
    theirs.sql(f"alter table {base} enable trigger user")
    theirs.sql(f"select capture.track('{base}', '{loaded_table.name}', 'id', 'part')")
    assert theirs.load(loaded_table).why == "the source started its change capture again"
    result = theirs.load(loaded_table)
    assert (result.kind, result.rows_written) == ("incremental", 0)
