"""The state of the last set-up: one row of the table dataflix_setup in Superset's database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from dataflix_superset.errors import SetupError

# Key of the advisory lock that keeps two set-ups from running at once: any free number.
_LOCK = 8_088_061

_CREATE = """
create table if not exists dataflix_setup (
    only_row boolean primary key default true check (only_row),
    fingerprint text not null,
    key_check text not null,
    uuids jsonb not null,
    finished_at timestamptz not null default now()
)
"""

_WRITE = """
insert into dataflix_setup (fingerprint, key_check, uuids) values (%s, %s, %s)
on conflict (only_row) do update
set fingerprint = excluded.fingerprint, key_check = excluded.key_check,
    uuids = excluded.uuids, finished_at = now()
"""


@dataclass(frozen=True)
class CompletedSetup:
    """A set-up that has ended.

    Attributes:
        fingerprint: hash of all inputs.
        key_check: identifies the secret key without revealing it.
        uuids: the imported objects, by kind.
    """

    fingerprint: str
    key_check: str
    uuids: dict[str, list[str]]


class SetupState:
    """The table dataflix_setup, while this process holds the lock."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def last(self) -> CompletedSetup | None:
        """Return the last set-up, or None before the first."""
        with self._connection.cursor() as cursor:
            cursor.execute("select fingerprint, key_check, uuids from dataflix_setup")
            row = cursor.fetchone()
        return CompletedSetup(*row) if row else None

    def password_hash(self, username: str) -> str | None:
        """Return a user's password hash as Superset stores it; None for an unknown user."""
        with self._connection.cursor() as cursor:
            cursor.execute("select password from ab_user where username = %s", (username,))
            row = cursor.fetchone()
        return row[0] if row else None

    def write(self, completed: CompletedSetup) -> None:
        """Replace the row."""
        with self._connection.cursor() as cursor:
            cursor.execute(_WRITE, (completed.fingerprint, completed.key_check, json.dumps(completed.uuids)))


@contextmanager
def open_setup_state(uri: str) -> Iterator[SetupState]:
    """Wait until no other set-up runs on this database, and hold the lock.

    Args:
        uri: libpq address of Superset's metadata.

    Raises:
        SetupError: the database can't be reached.
    """
    try:
        connection = psycopg2.connect(uri, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise SetupError(
            f"Superset's database can't be reached: {str(error).strip()}. Does Postgres run?"
        ) from error
    except psycopg2.ProgrammingError:
        # Its text shows the address with the password.
        raise SetupError("DATAFLIX_POSTGRES_HOST is no name or address of a host.") from None
    # Each statement is its own transaction: an open one would block Superset's migrations.
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", (_LOCK,))
            cursor.execute(_CREATE)
        yield SetupState(connection)
    finally:
        # Ends the session, and with it the lock.
        connection.close()
