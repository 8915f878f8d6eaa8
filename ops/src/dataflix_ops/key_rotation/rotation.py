"""The steps of a rotation, in an order that survives an interruption anywhere.

The new `.env` is on the disk before Postgres gets the key, and it replaces the old one afterwards. Which of
the two keys Postgres has tells how far an interrupted rotation came.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from clickhouse_connect.driver.client import Client
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_ops.key_rotation import pii_key, postgres, warehouse
from dataflix_ops.key_rotation.errors import RotationError

# A ClickHouse server keeps a dropped table for eight minutes.
_WAIT_S = 600

Say = Callable[[str], None]


def rotate(env_file: Path, connection: Connection, say: Say) -> None:
    """Give Postgres and `.env` a new key. An interrupted rotation continues with its key.

    Args:
        env_file: `.env`.
        connection: to the application's database, as the role postgres.
        say: called with a line for each finished step.

    Raises:
        RotationError: `.env` and Postgres have different keys, or nothing could be changed.
    """
    next_file = pii_key.next_path(env_file)
    if next_file.exists():
        say("continuing an interrupted rotation")
    elif not postgres.has_key(connection, pii_key.read_key(env_file)):
        raise RotationError(f"The key in {env_file} is not the one that the pseudonyms were made with.")
    else:
        next_file = pii_key.write_next(env_file, secrets.token_hex(32))
    key = pii_key.read_key(next_file)
    if not postgres.has_key(connection, key):
        count = postgres.change_key(connection, key)
        say(f"{count} users have new pseudonyms in Postgres")
    pii_key.activate_next(env_file)
    say(f"the new key is in {env_file}; the old key is deleted")


def finish(connection: Connection, client: Client, reload: Callable[[], None], say: Say) -> None:
    """Reload the warehouse, and check that it holds no old pseudonym.

    Args:
        connection: to the application's database, as the role postgres.
        client: of ClickHouse, as its administrator.
        reload: runs the full pipeline.
        say: called with a line for each finished step.

    Raises:
        RotationError: the reload failed, or the warehouse still holds old pseudonyms.
    """
    reload()
    dropped = warehouse.drop_retired(client)
    say(f"{len(dropped)} tables with old pseudonyms dropped")
    warehouse.wait_for_dropped_tables(client, _WAIT_S)
    old = warehouse.old_pseudonyms(client, postgres.pseudonyms(connection))
    if old:
        places = ", ".join(f"{count} in {place}" for place, count in sorted(old.items()))
        raise RotationError(
            f"The warehouse still holds old pseudonyms: {places}. Try: scripts/rotate_pii_key.py --finish"
        )
    say("the warehouse holds no old pseudonym")
