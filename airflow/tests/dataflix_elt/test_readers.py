"""Readers that poll during loads see the rows before a load or after it, and never an error."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataflix_elt.clients import clickhouse
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.tables import LoadMetadata, Table
from dataflix_elt.warehouse.staging_table import StagingTable
from dataflix_elt.warehouse.warehouse import warehouse
from dataflix_testkit.long_mode import short_or_long

from ..support.engines import Engines

Captured = tuple[Table, str]

SWAPS = short_or_long(60, 1000)
LOADS = short_or_long(3, 10)


@contextmanager
def polled(engines: Engines, query: str) -> Iterator[list[tuple[Any, ...]]]:
    """Run a query in two sessions in a loop, until the end of the block; yields the answers."""
    answers: list[tuple[Any, ...]] = []
    done = threading.Event()

    def read() -> None:
        client = engines.warehouse_server.client("dbt", autogenerate_session_id=False)
        while not done.is_set():
            answers.append(tuple(client.query(query).result_rows[0]))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            yield answers
        finally:
            done.set()
        for reader in readers:
            reader.result()


def test_changes_in_many_parts_appear_in_one_step(
    engines: Engines, captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', 0 from generate_series(1, 3000) i")
    engines.load(table)
    # Thirty blocks per load, as a large load has.
    small_blocks = {
        **{"max_block_size": 100, "max_insert_block_size": 100, "input_format_parallel_parsing": 0},
        **{"min_insert_block_size_rows": 0, "min_insert_block_size_bytes": 0},
    }
    monkeypatch.setattr(clickhouse, "_INSERT_SETTINGS", {**clickhouse._INSERT_SETTINGS, **small_blocks})
    query = f"select count(), min(value), max(value) from raw.{table.name} final"

    # Without merges they stay many; a staging table has the settings of its raw table.
    engines.admin.command(
        f"alter table raw.{table.name} modify setting"
        " max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"
    )

    with polled(engines, query) as answers:
        for number in range(1, LOADS + 1):
            # All rows change, and all rows of one half get other keys.
            engines.sql(
                f"update {base} set value = {number}, part = case id % 2 when 0 then 'x' else '{number}' end"
            )
            engines.load(table, verify=Verify.KEYS)

    ((last_block,),) = engines.query(
        f"select max(max_block_number) from system.parts where database = 'raw' and table = '{table.name}'"
    )
    assert last_block > LOADS * 30
    assert [answer for answer in answers if answer[0] != 3000 or answer[1] != answer[2]] == []
    assert len(set(answers)) > 1


def test_swaps_make_no_read_fail(engines: Engines, captured: Captured) -> None:
    table, base = captured
    engines.sql(f"insert into {base} select i, 'x', 0 from generate_series(1, 1000) i")
    engines.load(table)
    now = datetime.now(UTC)
    staging = StagingTable(table.name, "staging", now, "0" * 12)
    metadata = LoadMetadata(version=2, extracted_at=now, run_id="swapped in")
    query = f"select count(), uniqExact(id), uniqExact(_run_id) from raw.{table.name}"

    with warehouse(engines.warehouse) as target:
        target.create_staging(table, staging, metadata, {})
        target.session.command(
            f"insert into raw.{staging.name} (id, part, value) select id, part, 1 from raw.{table.name}"
        )
        with polled(engines, query) as answers:
            for number in range(SWAPS):
                if number % 50 == 49:
                    # A later load drops what a swap has put aside, once no query can read it.
                    aside = StagingTable(table.name, "retired", now - timedelta(hours=1), f"{number:012x}")
                    target.session.command(f"create table raw.{aside.name} as raw.{table.name}")
                    target.drop_expired(table, now)
                target.session.command(f"exchange tables raw.{staging.name} and raw.{table.name}")
        target.drop(staging)

    assert set(answers) == {(1000, 1000, 1)}
    assert len(answers) > 100


def test_the_same_load_run_many_times_at_once_does_no_harm(engines: Engines, captured: Captured) -> None:
    table, base = captured
    engines.load(table)

    for number in range(3):
        engines.sql(f"insert into {base} select i, '{number}', i from generate_series(1, 500) i")
        engines.sql(f"delete from {base} where part = '{number - 1}' and id <= 10")
        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(engines.load, table, "twin", 1) for _ in range(4)]
            results = [load.result() for load in loads]
        # They wait for each other: the first loads everything, the others nothing.
        assert sorted(result.rows_written for result in results) == [0, 0, 0, 500]
        assert len({result.version for result in results}) == 4

    source, copy = engines.both(table, base)
    assert source == copy
    assert engines.side_tables(table, "staging") == []
