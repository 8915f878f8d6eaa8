"""Blocks: movies that are not recommended to one user."""

from typing import Any, cast

from psycopg2 import errors as pg

from dataflix_backend.database import Database
from dataflix_backend.exceptions import NoSuchEventError
from dataflix_backend.queries import pages
from dataflix_backend.queries.events import already_ended, delete_event, upsert_event
from dataflix_backend.schemas.common import Page
from dataflix_backend.schemas.rules import Block, NewBlock

_WRITE = """
WITH known AS (
    SELECT
        EXISTS (SELECT FROM users WHERE user_id = %(user_id)s) AS user_known,
        (SELECT title FROM movies WHERE movie_id = %(movie_id)s) AS title
),
stored AS (
    INSERT INTO user_blocks (user_id, movie_id, owner, ends_at)
    SELECT %(user_id)s, %(movie_id)s, %(owner)s, %(ends_at)s
    FROM known
    WHERE user_known AND title IS NOT NULL
    ON CONFLICT (user_id, movie_id) DO UPDATE SET
        owner = excluded.owner,
        ends_at = excluded.ends_at
    RETURNING user_id, movie_id, owner, ends_at, created_at, xmax = 0 AS is_new
)
SELECT known.user_known, known.title, stored.*
FROM known
LEFT JOIN stored ON true
"""

_LIST = """
WITH blocked AS (
    SELECT b.*, m.title
    FROM user_blocks AS b
    INNER JOIN movies AS m ON b.movie_id = m.movie_id
    WHERE b.user_id = %(user_id)s AND (b.ends_at IS NULL OR b.ends_at > now())
)
SELECT
    (SELECT count(*) FROM blocked) AS total,
    page.*
FROM users AS u
LEFT JOIN LATERAL (
    SELECT user_id, movie_id, title, owner, ends_at, created_at
    FROM blocked
    ORDER BY created_at DESC, movie_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
WHERE u.user_id = %(user_id)s
"""

_DELETE = """
WITH deleted AS (
    DELETE FROM user_blocks
    WHERE user_id = %(user_id)s AND movie_id = %(movie_id)s
    RETURNING movie_id
)
SELECT
    EXISTS (SELECT FROM users WHERE user_id = %(user_id)s) AS user_known,
    (SELECT title FROM movies WHERE movie_id = %(movie_id)s) AS title,
    EXISTS (SELECT FROM deleted) AS was_deleted
"""


def write_block(database: Database, user_id: int, block: NewBlock) -> tuple[Block, bool]:
    """Block a movie for a user, or change the block.

    Returns:
        The block, and whether it is new.

    Raises:
        UnknownIdError: the user or the movie does not exist; nothing was written.
        InvalidInputError: the block has already ended; nothing was written.
    """
    parameters: dict[str, Any] = {"user_id": user_id, **block.model_dump()}
    try:
        row, is_new = upsert_event(database, _WRITE, parameters)
    except pg.CheckViolation as error:
        raise already_ended("ends_at") from error
    return cast("Block", row), is_new


def delete_block(database: Database, user_id: int, movie_id: int) -> None:
    """Delete a block.

    Raises:
        UnknownIdError: the user or the movie does not exist.
        NoSuchEventError: the movie is not blocked for the user.
    """
    if not delete_event(database, _DELETE, user_id, movie_id):
        sentence = "{item} {movie} is not blocked for {person} {user}."
        raise NoSuchEventError(sentence, user_id, movie_id, kind="unknown-block")


def list_blocks(database: Database, user_id: int, page: Page) -> tuple[list[Block], int]:
    """Return one page of a user's current blocks and their total.

    Raises:
        UnknownIdError: the user does not exist.
    """
    return cast("tuple[list[Block], int]", pages.page_of_user(database, _LIST, user_id, page))
