"""The pseudonyms in ClickHouse: which of them are old, and the retired tables that hold them."""

import logging

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from dataflix_ops.key_rotation.errors import RotationError

_HASHES = ("username_hash", "email_hash")
_POLL_S = 1.0


def administrator(*, host: str, port: int, password: str) -> Client:
    """Connect as dataflix_admin.

    Raises:
        RotationError: ClickHouse can't be used.
    """
    # It logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        return clickhouse_connect.get_client(
            host=host, port=port, username="dataflix_admin", password=password, autogenerate_session_id=False
        )
    except ClickHouseError:
        raise RotationError(f"ClickHouse at {host}:{port} can't be used; ./run.sh status shows it.") from None


def drop_retired(client: Client) -> list[str]:
    """Drop the raw tables that a full load has replaced, with the old pseudonyms; returns their names."""
    rows = client.query(
        "SELECT name FROM system.tables WHERE database = 'raw' AND startsWith(name, 'users__retired_')"
    ).result_rows
    for (name,) in rows:
        client.command(f"DROP TABLE IF EXISTS raw.`{name}` SYNC")
    return [str(name) for (name,) in rows]


def old_pseudonyms(client: Client, present: set[str]) -> dict[str, int]:
    """Return the number of pseudonyms that are not in `present`, for each column of each stored table."""
    columns = client.query(
        "SELECT c.database || '.' || c.table, c.name FROM system.columns AS c INNER JOIN system.tables AS t"
        " ON c.database = t.database AND c.table = t.name"
        f" WHERE c.database IN ('raw', 'analytics') AND c.name IN {_HASHES} AND t.engine != 'View'"
    ).result_rows
    old = {}
    for table, name in columns:
        # Without FINAL: replaced versions count too. A tombstone holds no pseudonym.
        found = client.query(f"SELECT DISTINCT {name} FROM {table} WHERE {name} != ''").result_rows
        if outdated := {str(row[0]) for row in found} - present:
            old[f"{table}.{name}"] = len(outdated)
    return old


def wait_for_dropped_tables(client: Client, wait_s: float) -> None:
    """Wait until ClickHouse has deleted the files of the dropped tables.

    Raises:
        RotationError: some files are still on the disk.
    """
    query = "SELECT count() FROM system.dropped_tables WHERE database IN ('raw', 'analytics')"

    @retry(
        retry=retry_if_result(bool),
        wait=wait_fixed(_POLL_S),
        stop=stop_after_delay(wait_s),
        retry_error_callback=lambda _: True,
    )
    def has_dropped_tables() -> bool:
        return bool(client.query(query).result_rows[0][0])

    if has_dropped_tables():
        raise RotationError(
            f"Dropped tables are still on ClickHouse's disk after {wait_s:.0f} s. "
            "Wait, then: scripts/rotate_pii_key.py --finish"
        )
