"""The server executes a statement of a killed load after a newer load: it changes nothing."""

from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dataflix_elt.clients.clickhouse import Session
from dataflix_elt.errors import WarehouseUnavailableError
from dataflix_elt.tables import Table

from ..support.engines import Engines

Captured = tuple[Table, str]


def held_back(engines: Engines, table: Table, statement: str, *, full: bool) -> str:
    """Load, and get killed before the server executes the statement; returns that statement."""
    held: list[str] = []
    original = Session.command

    def command(self: Session, text: str, **parameters: Any) -> None:
        if held or statement in text:
            held.append(text)
            # Nothing more reaches the server, not even the cleanup.
            raise WarehouseUnavailableError("killed")
        original(self, text, **parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "command", command)
        with pytest.raises(WarehouseUnavailableError, match="killed"):
            engines.load(table, run_id="killed", full=full)
    return held[0]


@pytest.mark.parametrize(
    ("statement", "full"),
    [("EXCHANGE TABLES", True), ("ATTACH PARTITION", False)],
    ids=["swap", "incremental"],
)
def test_what_a_killed_load_had_sent_brings_no_row_back(
    engines: Engines, captured: Captured, statement: str, full: bool
) -> None:
    table, base = captured
    engines.load(table)
    engines.sql(f"insert into {base} values (1, 'stays', 1), (2, 'goes', 2)")
    late = held_back(engines, table, statement, full=full)
    engines.sql(f"update {base} set value = 7 where id = 1; delete from {base} where id = 2")
    engines.load(table, run_id="newer", full=True)

    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        engines.admin.command(late)

    source, copy = engines.both(table, base)
    assert [row[:3] for row in copy] == [(1, "stays", 7)]
    assert source == copy
    assert engines.load(table).kind == "incremental"
