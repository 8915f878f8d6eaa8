"""What the statements that write a user's event have in common."""

from typing import Any, LiteralString

from psycopg2 import errors as pg

from dataflix_backend.database import Database, Row
from dataflix_backend.errors import NotFoundProblem, Problem


def over_already(field: str) -> Problem:
    """Return the problem of a time that was to come when it was sent, and is past now."""
    message = "must lie in the future"
    return Problem(422, "invalid-body", f"{field} {message}.", errors=[{"field": field, "message": message}])


def require_known(row: Row, user_id: int, movie_id: int) -> None:
    """Raise NotFoundProblem when the row says that the user or the film does not exist."""
    if not row["user_known"]:
        raise NotFoundProblem("user", user_id)
    if row["title"] is None:
        raise NotFoundProblem("movie", movie_id)


def written(database: Database, sql: LiteralString, parameters: dict[str, Any]) -> tuple[Row, bool]:
    """Run a statement that stores one event; returns the stored row and whether it is new.

    Raises NotFoundProblem naming an unknown user or film; then nothing is written.
    """
    user_id, movie_id = parameters["user_id"], parameters["movie_id"]
    try:
        row = database.query(sql, parameters)[0]
    except pg.ForeignKeyViolation as error:
        # It was deleted after the statement had seen it; the constraint's name tells which.
        is_user = "user_id" in (error.diag.constraint_name or "")
        thing, identifier = ("user", user_id) if is_user else ("movie", movie_id)
        raise NotFoundProblem(thing, identifier) from error
    require_known(row, user_id, movie_id)
    del row["user_known"]
    return row, bool(row.pop("is_new"))


def deleted(database: Database, sql: LiteralString, user_id: int, movie_id: int) -> bool:
    """Run a statement that deletes one event; returns whether there was one.

    Raises NotFoundProblem for an unknown user or film.
    """
    row = database.query(sql, {"user_id": user_id, "movie_id": movie_id})[0]
    require_known(row, user_id, movie_id)
    return bool(row["was_deleted"])
