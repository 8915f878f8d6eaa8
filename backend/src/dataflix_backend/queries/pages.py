"""One page of a list and the length of the whole, out of one statement."""

from typing import LiteralString

from dataflix_backend.database import Database, Row
from dataflix_backend.schemas.common import Page


def of_user(database: Database, sql: LiteralString, user_id: int, page: Page) -> tuple[list[Row], int] | None:
    """Return one page of a user's films and their number, None for an unknown user."""
    parameters = {"user_id": user_id, "limit": page.limit, "offset": page.offset}
    rows = database.query(sql, parameters)
    return split(rows, "movie_id") if rows else None


def split(rows: list[Row], key: str) -> tuple[list[Row], int]:
    """Return the page and the total.

    The statement answers at least one row with ``total``; where the page is empty, ``key`` is null in it.
    """
    total: int = rows[0]["total"]
    page = [row for row in rows if row[key] is not None]
    for row in page:
        del row["total"]
    return page, total
