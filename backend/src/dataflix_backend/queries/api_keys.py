"""API keys. Of a secret, only its hash gets here."""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from psycopg2 import errors as pg

from dataflix_backend.api_key import ApiKey
from dataflix_backend.database import Database, Row
from dataflix_backend.queries.locks import one_at_a_time

BOOTSTRAP = "bootstrap"

_FIND = """
SELECT
    k.key_id, k.scopes, k.user_id, s.secret_hash,
    extract(EPOCH FROM s.expires_at - now())::float8 AS ends_in_s
FROM access.api_key_secrets AS s
INNER JOIN access.api_keys AS k ON s.key_id = k.key_id
WHERE
    s.secret_hash = ANY(%(secret_hashes)s)
    AND k.revoked_at IS NULL
    AND (s.expires_at IS NULL OR s.expires_at > now())
"""

# A secret that was stored before is never accepted again: it was rotated away, or its key was revoked.
_BOOTSTRAP = one_at_a_time(
    "access.api_keys",
    "%(name)s",
    """
WITH owner AS (
    INSERT INTO access.api_keys (name, scopes)
    SELECT %(name)s, '{admin}'
    WHERE NOT EXISTS (SELECT FROM access.api_key_secrets WHERE secret_hash = %(secret_hash)s)
    ON CONFLICT (name) DO UPDATE SET scopes = '{admin}', revoked_at = NULL
    RETURNING key_id
),
retired AS (
    UPDATE access.api_key_secrets
    SET expires_at = now()
    WHERE key_id = (SELECT key_id FROM owner) AND (expires_at IS NULL OR expires_at > now())
)
INSERT INTO access.api_key_secrets (secret_hash, key_id)
SELECT %(secret_hash)s, key_id
FROM owner
ON CONFLICT (secret_hash) DO NOTHING
RETURNING key_id
""",
)

_CREATE = """
WITH owner AS (
    INSERT INTO access.api_keys (name, scopes, user_id)
    VALUES (%(name)s, %(scopes)s, %(user_id)s)
    RETURNING key_id
),
audited AS (
    INSERT INTO access.audit_log (action, target)
    SELECT 'keys create', 'key_id=' || key_id FROM owner
)
INSERT INTO access.api_key_secrets (secret_hash, key_id)
SELECT %(secret_hash)s, key_id
FROM owner
RETURNING key_id
"""

# The current secret ends after the overlap. A secret that was rotated away before keeps its end.
_ROTATE = one_at_a_time(
    "access.api_keys",
    "%(name)s",
    """
WITH owner AS (
    SELECT key_id FROM access.api_keys WHERE name = %(name)s AND revoked_at IS NULL FOR UPDATE
),
audited AS (
    INSERT INTO access.audit_log (action, target)
    SELECT 'keys rotate', 'key_id=' || key_id FROM owner
),
retired AS (
    UPDATE access.api_key_secrets
    SET expires_at = now() + %(overlap)s
    WHERE key_id = (SELECT key_id FROM owner) AND expires_at IS NULL
)
INSERT INTO access.api_key_secrets (secret_hash, key_id)
SELECT %(secret_hash)s, key_id
FROM owner
RETURNING key_id
""",
)

_REVOKE = """
WITH revoked AS (
    UPDATE access.api_keys
    SET revoked_at = now()
    WHERE name = %(name)s AND revoked_at IS NULL
    RETURNING key_id
),
audited AS (
    INSERT INTO access.audit_log (action, target)
    SELECT 'keys revoke', 'key_id=' || key_id FROM revoked
)
SELECT key_id FROM revoked
"""

_LIST = """
SELECT
    k.key_id, k.name, k.scopes, k.user_id, k.created_at, k.revoked_at,
    (SELECT p.source_key FROM source.people AS p WHERE p.user_id = k.user_id) AS source_key,
    max(s.created_at) AS secret_made_at,
    count(*) FILTER (WHERE s.expires_at IS NULL OR s.expires_at > now()) AS good_secrets,
    max(s.expires_at) FILTER (WHERE s.expires_at > now()) AS old_secret_ends_at
FROM access.api_keys AS k
LEFT JOIN access.api_key_secrets AS s ON k.key_id = s.key_id
GROUP BY k.key_id
ORDER BY k.key_id
"""

_AUDIT = """
INSERT INTO access.audit_log (key_id, action, target, request_id)
VALUES (%(key_id)s, %(action)s, %(target)s, %(request_id)s)
RETURNING entry_id
"""


class KeyNameError(ValueError):
    """The name is taken or unknown, or the user is unknown."""


class UnknownUserError(KeyNameError):
    """The user does not exist."""


def find_key(database: Database, secret_hash: bytes) -> ApiKey | None:
    """Return the key that belongs to a secret, None when the secret is not valid (any more)."""
    for found, key in find_keys(database, [secret_hash]).items():
        if hmac.compare_digest(found, secret_hash):
            return key
    return None


def find_keys(database: Database, secret_hashes: Sequence[bytes]) -> dict[bytes, ApiKey]:
    """Return the keys of the secrets that are valid, by hash."""
    return {
        bytes(row["secret_hash"]): ApiKey(
            row["key_id"], frozenset(row["scopes"]), row["user_id"], row["ends_in_s"]
        )
        for row in database.query(_FIND, {"secret_hashes": list(secret_hashes)})
    }


def register_bootstrap(database: Database, secret_hash: bytes) -> None:
    """Give the bootstrap key the secret of ``.env``, unless that was stored before; its older secrets end."""
    database.query(_BOOTSTRAP, {"name": BOOTSTRAP, "secret_hash": secret_hash})


def create_key(
    database: Database, name: str, scopes: Sequence[str], user_id: int | None, secret_hash: bytes
) -> int:
    """Store a new key and return its id.

    Raises:
        KeyNameError: the name is taken.
        UnknownUserError: the user does not exist.
    """
    parameters = {"name": name, "scopes": list(scopes), "user_id": user_id, "secret_hash": secret_hash}
    try:
        return int(database.query(_CREATE, parameters)[0]["key_id"])
    except pg.UniqueViolation as error:
        raise KeyNameError(f"There is already a key named {name}; a name is never used twice.") from error
    except pg.ForeignKeyViolation as error:
        raise UnknownUserError(f"There is no user with the id {user_id}.") from error


def rotate_key(database: Database, name: str, overlap: timedelta, secret_hash: bytes) -> None:
    """Give a key a new secret; the current one stays valid for ``overlap``.

    Raises:
        KeyNameError: no valid key has this name.
    """
    parameters = {"name": name, "overlap": overlap, "secret_hash": secret_hash}
    _require(database.query(_ROTATE, parameters), name)


def revoke_key(database: Database, name: str) -> None:
    """Revoke a key.

    Raises:
        KeyNameError: no valid key has this name.
    """
    _require(database.query(_REVOKE, {"name": name}), name)


def list_keys(database: Database) -> list[Row]:
    """Return all keys, revoked ones too, without secrets or hashes.

    ``source_key`` is the id of the key's user in the source, if our tables are a copy.
    """
    return database.query(_LIST)


def insert_audit_entry(database: Database, entry: dict[str, Any]) -> None:
    """Add an entry to the audit log: key_id, action, target, request_id."""
    database.query(_AUDIT, entry)


def _require(rows: list[Row], name: str) -> None:
    if not rows:
        raise KeyNameError(
            f"There is no key named {name}, or it is revoked; `dataflix-backend keys list` shows all keys."
        )
