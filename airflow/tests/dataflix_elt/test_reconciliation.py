"""A load notices damaged rows, and readers never see them."""

from collections.abc import Callable, Iterator

import pytest

from dataflix_elt.errors import EltError, ReconciliationError, WarehouseError
from dataflix_elt.tables import Table
from dataflix_elt.warehouse.warehouse import Warehouse

from ..support.engines import Engines

Damage = Callable[[bytes], bytes]


@pytest.fixture
def loaded(engines: Engines, numbers: tuple[Table, str]) -> Table:
    table, _ = numbers
    engines.load(table, run_id="before")
    return table


def damage_on_the_way(monkeypatch: pytest.MonkeyPatch, damage: Damage) -> None:
    real = Warehouse.insert

    def insert(self: Warehouse, table: Table, staging: object, chunks: Iterator[bytes]) -> None:
        real(self, table, staging, iter([damage(b"".join(chunks))]))  # type: ignore[arg-type]

    monkeypatch.setattr(Warehouse, "insert", insert)


def without_line_500(rows: bytes) -> bytes:
    lines = rows.splitlines(keepends=True)
    return b"".join(lines[:500] + lines[501:])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_line_500, "rows: source 1000, loaded 999"),
        (lambda rows: rows.replace(b"word 500", b"word 5OO"), "checksum"),
        (
            lambda rows: rows.replace(b"500,word 500", b"500,word 501").replace(
                b"501,word 501", b"501,word 500"
            ),
            "checksum",
        ),
        (lambda rows: rows.replace(b"\n500,", b"\n499,"), "distinct keys: source 1000, loaded 999"),
        (lambda rows: b"", "rows: source 1000, loaded 0"),
    ],
    ids=[
        "one row lost",
        "one value changed",
        "two values changed places",
        "one key twice",
        "nothing arrived",
    ],
)
def test_damage_raises_and_swaps_nothing(
    engines: Engines, loaded: Table, monkeypatch: pytest.MonkeyPatch, damage: Damage, said: str
) -> None:
    damage_on_the_way(monkeypatch, damage)

    with pytest.raises(ReconciliationError, match=said):
        engines.load(loaded, run_id="damaged")

    assert engines.query(f"select count(), groupUniqArray(_run_id) from raw.{loaded.name}") == [
        (1000, ["before"])
    ]
    assert engines.side_tables(loaded, "staging") == []
    assert [audit[0::3] for audit in engines.audits(loaded)] == [("before", True), ("damaged", False)]


def test_a_table_that_differs_from_one_snapshot_to_the_next_is_no_difference(
    engines: Engines, numbers: tuple[Table, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, base = numbers
    real = Warehouse.insert

    def insert(self: Warehouse, *arguments: object) -> None:
        engines.sql(f"insert into {base} values (1001, 'late'); delete from {base} where id < 10")
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Warehouse, "insert", insert)

    result = engines.load(table)

    assert result.rows == 1000
    assert engines.query(f"select count(), min(id), max(id) from raw.{table.name}") == [(1000, 1, 1000)]


def test_no_error_shows_a_value_of_a_row(
    engines: Engines, loaded: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage_on_the_way(monkeypatch, lambda rows: rows.replace(b"500,word 500", b"Jane Canary,word 500"))

    with pytest.raises(WarehouseError) as caught:
        engines.load(loaded)

    shown: BaseException | None = caught.value
    while shown is not None:
        assert "Canary" not in str(shown) or not isinstance(shown, EltError)
        shown = shown.__cause__
    assert caught.value.__suppress_context__
