"""The order of things, so that a rotation which was interrupted anywhere can be gone on with.

The new `.env` lies beside the old one before Postgres learns of the key, and takes its place afterwards.
Which of the two keys Postgres has tells how far a rotation had come.
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
    """Give Postgres and `.env` a new key; what an interrupted rotation began is finished with its key.

    Raises:
        RotationError: `.env` and Postgres do not have the same key, or nothing could be changed.
    """
    beside = pii_key.next_path(env_file)
    if beside.exists():
        say("going on with a rotation that was interrupted")
    elif not postgres.has_key(connection, pii_key.key_in(env_file)):
        raise RotationError(f"The key in {env_file} is not the one that the pseudonyms were made with.")
    else:
        beside = pii_key.write_next(env_file, secrets.token_hex(32))
    key = pii_key.key_in(beside)
    if not postgres.has_key(connection, key):
        count = postgres.change_key(connection, key)
        say(f"{count} users have new pseudonyms in Postgres")
    beside.replace(env_file)
    say(f"the new key is in {env_file}; the old one is nowhere any more")


def finish(connection: Connection, client: Client, reload: Callable[[], None], say: Say) -> None:
    """Have the warehouse made anew, and check that no old pseudonym is left in it.

    Raises:
        RotationError: the reload failed, or old pseudonyms are left.
    """
    reload()
    dropped = warehouse.drop_retired(client)
    say(f"{len(dropped)} tables with old pseudonyms dropped")
    warehouse.wait_for_dropped_tables(client, _WAIT_S)
    old = warehouse.old_pseudonyms(client, postgres.pseudonyms(connection))
    if old:
        places = ", ".join(f"{count} in {place}" for place, count in sorted(old.items()))
        raise RotationError(f"Old pseudonyms are left: {places}. Again: scripts/rotate_pii_key.py --finish")
    say("no old pseudonym is left in the warehouse")
