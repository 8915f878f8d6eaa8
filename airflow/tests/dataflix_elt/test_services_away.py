"""Services that are down or die during a load, and loads that are killed."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataflix_elt.columns import INT64, TEXT, Column
from dataflix_elt.errors import SourceUnavailableError, WarehouseUnavailableError
from dataflix_elt.loading.load import load
from dataflix_elt.settings import WarehouseSettings
from dataflix_elt.tables import Table, table_named
from dataflix_elt.warehouse.staging_table import RETIRED_GRACE
from dataflix_elt.warehouse.warehouse import Warehouse, warehouse
from dataflix_testkit import clickhouse, free_port

from ..support.engines import Engines

COLUMNS = (Column("id", INT64), Column("words", TEXT))

# About 30 MB: more than pipe, buffers and sockets hold, so COPY still runs when the insert has started.
MANY = "select i as id, repeat('x', 90) as words from generate_series(1::bigint, 300000) i"


@pytest.fixture(scope="module")
def table(engines: Engines) -> Table:
    return engines.add_table(COLUMNS, ("id",), MANY)


def after_the_first_chunk(monkeypatch: pytest.MonkeyPatch, action: object) -> None:
    real = Warehouse.insert

    def insert(self: Warehouse, table: Table, staging: object, chunks: Iterator[bytes]) -> None:
        def watched() -> Iterator[bytes]:
            stream = iter(chunks)
            yield next(stream)
            action()  # type: ignore[operator]
            yield from stream

        real(self, table, staging, watched())  # type: ignore[arg-type]

    monkeypatch.setattr(Warehouse, "insert", insert)


def copies_running(engines: Engines) -> list[int]:
    query = "select pid from pg_stat_activity where application_name = 'dataflix-elt' and state = 'active'"
    return [pid for (pid,) in engines.sql(query)]


def test_a_source_that_is_down_is_named(engines: Engines, table: Table) -> None:
    nobody = engines.source.model_copy(update={"port": free_port()})

    with pytest.raises(SourceUnavailableError, match=str(nobody.port)):
        load(table, run_id="r", source_settings=nobody, warehouse_settings=engines.warehouse)


def test_a_wrong_password_is_no_secret_and_no_crash(engines: Engines, table: Table) -> None:
    wrong = engines.source.model_copy(update={"password": "not the password"})

    with pytest.raises(SourceUnavailableError, match="password authentication failed") as caught:
        load(table, run_id="r", source_settings=wrong, warehouse_settings=engines.warehouse)

    assert "not the password" not in str(caught.value)


def test_a_warehouse_that_is_down_is_named(engines: Engines, table: Table) -> None:
    nobody = engines.warehouse.model_copy(update={"port": free_port()})

    with pytest.raises(WarehouseUnavailableError, match=str(nobody.port)):
        load(table, run_id="r", source_settings=engines.source, warehouse_settings=nobody)


def test_a_source_that_dies_in_the_middle_leaves_the_old_table(
    engines: Engines, numbers: tuple[Table, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, base = numbers
    engines.load(table, run_id="before")
    engines.sql(f"insert into {base} {MANY.replace('1::bigint', '2000::bigint')}")
    after_the_first_chunk(
        monkeypatch,
        lambda: engines.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dataflix-elt'"
        ),
    )

    with pytest.raises(SourceUnavailableError):
        engines.load(table, run_id="torn")

    assert engines.query(f"select count(), groupUniqArray(_run_id) from raw.{table.name}") == [
        (1000, ["before"])
    ]
    assert engines.side_tables(table, "staging") == []


def test_a_warehouse_that_dies_in_the_middle_leaves_the_old_table(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_named("movies")
    engines.sql("insert into movies (title) select repeat('Many ', 80) from generate_series(1, 20000)")
    with clickhouse(tmp_path) as server:
        settings = WarehouseSettings.from_environ(server.environ)
        after_the_first_chunk(monkeypatch, lambda: os.kill(server.pid, signal.SIGKILL))
        with pytest.raises(WarehouseUnavailableError):
            load(table, run_id="torn", source_settings=engines.source, warehouse_settings=settings)
    monkeypatch.undo()

    deadline = time.monotonic() + 30
    while copies_running(engines) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert copies_running(engines) == []
    with clickhouse(tmp_path) as server:
        client = server.client("dataflix_admin")
        assert client.query("select count() from raw.movies").result_rows == [(0,)]
        settings = WarehouseSettings.from_environ(server.environ)
        result = load(table, run_id="again", source_settings=engines.source, warehouse_settings=settings)
        assert client.query("select count() from raw.movies").result_rows == [(result.rows,)]
    engines.sql("delete from movies where title like 'Many Many %'")


def test_a_killed_load_leaves_the_old_table_and_a_later_one_cleans_up(engines: Engines, table: Table) -> None:
    engines.load(table, run_id="before")
    process = engines.load_in_a_process(table, "killed", "pause")
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    process.kill()
    process.wait()

    assert engines.query(f"select count(), groupUniqArray(_run_id) from raw.{table.name}") == [
        (300000, ["before"])
    ]
    assert len(engines.side_tables(table, "staging")) == 1
    engines.load(table, run_id="after")
    assert engines.query(f"select count(), groupUniqArray(_run_id) from raw.{table.name}") == [
        (300000, ["after"])
    ]
    with warehouse(engines.warehouse) as target:
        now = datetime.now(UTC)
        assert target.drop_expired(table, now) == []
        # What the loads have swapped out, and what the killed one had filled.
        assert len(target.drop_expired(table, now + RETIRED_GRACE + timedelta(minutes=1))) == 3
        assert engines.side_tables(table, "staging") == engines.side_tables(table, "retired") == []
