"""One page of a list and the length of the whole, out of one statement."""

from dataflix_backend.database import Row


def split(rows: list[Row], key: str) -> tuple[list[Row], int]:
    """Return the page and the total.

    The statement answers at least one row with ``total``; where the page is empty, ``key`` is null in it.
    """
    total: int = rows[0]["total"]
    page = [row for row in rows if row[key] is not None]
    for row in page:
        del row["total"]
    return page, total
