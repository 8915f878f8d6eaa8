"""The common part of statements that write one event of a user: a rating, a view, a block."""

from typing import Any, LiteralString

from psycopg2 import errors as pg

from dataflix_backend.database import Database, Row
from dataflix_backend.exceptions import InvalidInputError, UnknownIdError


def already_ended(field: str) -> InvalidInputError:
    """Return the error for a time that was in the future when it was sent and is past for Postgres."""
    return InvalidInputError.of_field(field, "must lie in the future")


def require_known(row: Row, user_id: int, movie_id: int) -> None:
    """Check that the user and the movie exist, by the columns ``user_known`` and ``title`` of a row.

    Raises:
        UnknownIdError: one of them does not exist.
    """
    if not row["user_known"]:
        raise UnknownIdError("user", user_id)
    if row["title"] is None:
        raise UnknownIdError("movie", movie_id)


def upsert_event(database: Database, sql: LiteralString, parameters: dict[str, Any]) -> tuple[Row, bool]:
    """Run a statement that stores one event.

    Returns:
        The stored row, and whether it is new.

    Raises:
        UnknownIdError: the user or the movie does not exist; nothing was written.
    """
    user_id, movie_id = parameters["user_id"], parameters["movie_id"]
    try:
        row = database.query(sql, parameters)[0]
    except pg.ForeignKeyViolation as error:
        # The row was deleted after the statement had seen it; the constraint's name tells which one.
        is_user = "user_id" in (error.diag.constraint_name or "")
        thing, identifier = ("user", user_id) if is_user else ("movie", movie_id)
        raise UnknownIdError(thing, identifier) from error
    require_known(row, user_id, movie_id)
    del row["user_known"]
    return row, bool(row.pop("is_new"))


def delete_event(database: Database, sql: LiteralString, user_id: int, movie_id: int) -> bool:
    """Run a statement that deletes one event; returns whether it existed.

    Raises:
        UnknownIdError: the user or the movie does not exist.
    """
    row = database.query(sql, {"user_id": user_id, "movie_id": movie_id})[0]
    require_known(row, user_id, movie_id)
    return bool(row["was_deleted"])
