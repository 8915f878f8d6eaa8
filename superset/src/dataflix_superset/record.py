"""What the last set-up did: one row in a table of our own beside Superset's, in Superset's database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from dataflix_superset.errors import SetupError

# Any number that nobody else locks in this database: two set-ups at once would trip over each other.
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
class Done:
    """A set-up that ran to its end.

    Attributes:
        fingerprint: hash of everything that went in.
        key_check: proves which secret key was used, without telling it.
        uuids: what was imported, by kind.
    """

    fingerprint: str
    key_check: str
    uuids: dict[str, list[str]]


class Record:
    """The table, while this process alone may set up."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def last(self) -> Done | None:
        """Return the last set-up, or None before the first."""
        with self._connection.cursor() as cursor:
            cursor.execute("select fingerprint, key_check, uuids from dataflix_setup")
            row = cursor.fetchone()
        return Done(*row) if row else None

    def password_hash(self, username: str) -> str | None:
        """Return a user's password hash as Superset stores it; None for an unknown user."""
        with self._connection.cursor() as cursor:
            cursor.execute("select password from ab_user where username = %s", (username,))
            row = cursor.fetchone()
        return row[0] if row else None

    def write(self, done: Done) -> None:
        """Replace the row."""
        with self._connection.cursor() as cursor:
            cursor.execute(_WRITE, (done.fingerprint, done.key_check, json.dumps(done.uuids)))


@contextmanager
def opened(uri: str) -> Iterator[Record]:
    """Wait until no other set-up works on this database, and lock others out.

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
    # Each statement for itself: an open transaction would stand in the way of Superset's migrations.
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", (_LOCK,))
            cursor.execute(_CREATE)
        yield Record(connection)
    finally:
        # Ends the session, and with it the lock.
        connection.close()
