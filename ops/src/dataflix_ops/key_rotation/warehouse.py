"""The pseudonyms in ClickHouse: which are old, and which tables nobody needs any more hold them."""

import time

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from dataflix_ops.key_rotation.errors import RotationError

_HASHES = ("username_hash", "email_hash")
_POLL_S = 1.0


def administrator(*, host: str, port: int, password: str) -> Client:
    """Connect as dataflix_admin.

    Raises:
        RotationError: ClickHouse cannot be used.
    """
    try:
        return clickhouse_connect.get_client(
            host=host, port=port, username="dataflix_admin", password=password, autogenerate_session_id=False
        )
    except ClickHouseError:
        raise RotationError(f"ClickHouse at {host}:{port} can't be used; ./run.sh status shows it.") from None


def drop_retired(client: Client) -> list[str]:
    """Drop the raw tables that a whole load has put aside, with the old pseudonyms; returns the names."""
    rows = client.query(
        "SELECT name FROM system.tables WHERE database = 'raw' AND startsWith(name, 'users__retired_')"
    ).result_rows
    for (name,) in rows:
        client.command(f"DROP TABLE IF EXISTS raw.`{name}` SYNC")
    return [str(name) for (name,) in rows]


def old_pseudonyms(client: Client, present: set[str]) -> dict[str, int]:
    """Return how many pseudonyms that are not `present` each column of each table with files holds."""
    columns = client.query(
        "SELECT c.database || '.' || c.table, c.name FROM system.columns AS c INNER JOIN system.tables AS t"
        " ON c.database = t.database AND c.table = t.name"
        f" WHERE c.database IN ('raw', 'analytics') AND c.name IN {_HASHES} AND t.engine != 'View'"
    ).result_rows
    old = {}
    for table, name in columns:
        # Without FINAL: versions that were replaced count. A deletion holds no pseudonym.
        found = client.query(f"SELECT DISTINCT {name} FROM {table} WHERE {name} != ''").result_rows
        if strange := {str(row[0]) for row in found} - present:
            old[f"{table}.{name}"] = len(strange)
    return old


def wait_for_dropped_tables(client: Client, wait_s: float) -> None:
    """Wait until the files of the tables that were dropped are deleted.

    Raises:
        RotationError: they are still there.
    """
    deadline = time.monotonic() + wait_s
    query = "SELECT count() FROM system.dropped_tables WHERE database IN ('raw', 'analytics')"
    while client.query(query).result_rows[0][0]:
        if time.monotonic() > deadline:
            raise RotationError(
                f"Tables that were dropped are still on ClickHouse's disk after {wait_s:.0f} s. "
                "Wait, then: scripts/rotate_pii_key.py --finish"
            )
        time.sleep(_POLL_S)
