"""One page of a list and the length of the whole list, from one statement."""

from typing import LiteralString

from dataflix_backend.database import Database, Row
from dataflix_backend.exceptions import UnknownIdError
from dataflix_backend.schemas.common import Page


def page_of_user(database: Database, sql: LiteralString, user_id: int, page: Page) -> tuple[list[Row], int]:
    """Return one page of a list that belongs to a user, and the list's length.

    Raises:
        UnknownIdError: the user does not exist.
    """
    rows = database.query(sql, {"user_id": user_id, "limit": page.limit, "offset": page.offset})
    if not rows:
        raise UnknownIdError("user", user_id)
    return split(rows, "movie_id")


def split(rows: list[Row], key: str) -> tuple[list[Row], int]:
    """Return the page and the length of the list.

    Args:
        rows: at least one row with ``total``; on an empty page, ``key`` is null in it.
        key: the column that identifies a row.
    """
    total: int = rows[0]["total"]
    page = [row for row in rows if row[key] is not None]
    for row in page:
        del row["total"]
    return page, total
