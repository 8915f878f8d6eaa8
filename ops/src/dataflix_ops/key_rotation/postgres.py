"""The key and the pseudonyms in Postgres, changed in one transaction.

The key is never part of a statement, because others may see statements and the server may log them. It is
sent as data of a COPY.
"""

import io

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_ops.key_rotation.errors import RotationError

_BLOCK_BYTES = 64
# The inner and outer padding of HMAC (RFC 2104).
_INNER, _OUTER = 0x36, 0x5C

# Waits for writers of users and blocks new ones: a later writer finds the new key.
_LOCK = "LOCK TABLE public.users IN SHARE ROW EXCLUSIVE MODE"
_NEXT = "CREATE TEMPORARY TABLE next_key (inner_block bytea, outer_block bytea) ON COMMIT DROP"
_REPLACE = """
UPDATE pii.hmac_key SET inner_block = next_key.inner_block, outer_block = next_key.outer_block
FROM next_key
"""
# The triggers on users compute the pseudonyms again and mark each row as changed for the ELT.
_RECOMPUTE = "UPDATE public.users SET user_id = user_id"
_COUNT = "SELECT count(*) FROM pii.user_pseudonyms"
_COUNT_UNCHANGED = """
SELECT (SELECT count(*) FROM pii.user_pseudonyms AS now INNER JOIN before ON now.user_id = before.user_id
    WHERE now.username_hash = before.username_hash OR now.email_hash = before.email_hash)
"""
_BEFORE = "CREATE TEMPORARY TABLE before ON COMMIT DROP AS SELECT * FROM pii.user_pseudonyms"


def has_key(connection: Connection, key: str) -> bool:
    """Return whether the pseudonyms of the database are made with a key."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_NEXT)
        _send(connection, key)
        cursor.execute("SELECT count(*) FROM pii.hmac_key NATURAL INNER JOIN next_key")
        return cursor.fetchone() == (1,)


def change_key(connection: Connection, key: str) -> int:
    """Replace the key and compute all pseudonyms again, in one transaction; returns their number.

    Raises:
        RotationError: a pseudonym did not change; nothing was changed.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute(_BEFORE)
        cursor.execute(_NEXT)
        _send(connection, key)
        cursor.execute(_REPLACE)
        cursor.execute(_RECOMPUTE)
        cursor.execute(_COUNT_UNCHANGED)
        if cursor.fetchone() != (0,):
            raise RotationError("Some pseudonyms did not change with the key. Nothing was changed.")
        cursor.execute(_COUNT)
        ((count,),) = cursor.fetchall()
    # Old versions of updated rows stay in the table's file until it is rewritten.
    connection.autocommit = True
    with connection.cursor() as cursor:
        for table in ("pii.hmac_key", "pii.user_pseudonyms"):
            cursor.execute(f"VACUUM (FULL) {table}")
    connection.autocommit = False
    return int(count)


def pseudonyms(connection: Connection) -> set[str]:
    """Return all pseudonyms."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT username_hash FROM pii.user_pseudonyms"
            " UNION ALL SELECT email_hash FROM pii.user_pseudonyms"
        )
        return {str(pseudonym) for (pseudonym,) in cursor}


def _send(connection: Connection, key: str) -> None:
    padded = bytes.fromhex(key).ljust(_BLOCK_BYTES, b"\0")
    blocks = (bytes(byte ^ mask for byte in padded).hex() for mask in (_INNER, _OUTER))
    row = "\t".join(rf"\\x{block}" for block in blocks) + "\n"
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY next_key FROM STDIN", io.StringIO(row))
