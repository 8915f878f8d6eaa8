"""The loading process needs the same memory for a small table and for a large one."""

from dataflix_elt.columns import INT64, TEXT, Column

from ..support.engines import Engines


def peak_kib(engines: Engines, rows: int) -> int:
    columns = (Column("id", INT64), Column("words", TEXT))
    body = f"select i as id, repeat('x', 200) as words from generate_series(1::bigint, {rows}) i"
    table = engines.add_table(columns, ("id",), body)
    process = engines.load_in_a_process(table, "memory")
    answer, _ = process.communicate()
    assert process.returncode == 0
    assert engines.query(f"select count() from raw.{table.name}") == [(rows,)]
    return int(answer)


def test_memory_does_not_grow_with_the_table(engines: Engines) -> None:
    small, large = peak_kib(engines, 1_000), peak_kib(engines, 600_000)

    # The large table is 120 MiB of CSV; a few chunks are in memory.
    assert large - small < 24 * 1024
