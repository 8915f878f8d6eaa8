"""Views: movies that a user has watched."""

from typing import cast

from dataflix_backend.database import Database
from dataflix_backend.exceptions import NoSuchEventError
from dataflix_backend.queries import pages
from dataflix_backend.queries.events import delete_event, upsert_event
from dataflix_backend.schemas.common import Page
from dataflix_backend.schemas.events import NewWatch, StoredWatch, WatchedMovie

_WRITE = """
WITH known AS (
    SELECT
        EXISTS (SELECT FROM users WHERE user_id = %(user_id)s) AS user_known,
        (SELECT title FROM movies WHERE movie_id = %(movie_id)s) AS title
),
stored AS (
    INSERT INTO watched_movies (user_id, movie_id, watched_at)
    SELECT %(user_id)s, %(movie_id)s, coalesce(%(watched_at)s, now())
    FROM known
    WHERE user_known AND title IS NOT NULL
    ON CONFLICT (user_id, movie_id) DO UPDATE SET watched_at = excluded.watched_at
    RETURNING user_id, movie_id, watched_at, xmax = 0 AS is_new
)
SELECT known.user_known, known.title, stored.*
FROM known
LEFT JOIN stored ON true
"""

_DELETE = """
WITH deleted AS (
    DELETE FROM watched_movies
    WHERE user_id = %(user_id)s AND movie_id = %(movie_id)s
    RETURNING movie_id
)
SELECT
    EXISTS (SELECT FROM users WHERE user_id = %(user_id)s) AS user_known,
    (SELECT title FROM movies WHERE movie_id = %(movie_id)s) AS title,
    EXISTS (SELECT FROM deleted) AS was_deleted
"""

_LIST = """
SELECT
    (SELECT count(*) FROM watched_movies AS all_watched WHERE all_watched.user_id = u.user_id) AS total,
    page.*
FROM users AS u
LEFT JOIN LATERAL (
    SELECT m.movie_id, m.title, m.genres, m.release_year, w.watched_at
    FROM watched_movies AS w
    INNER JOIN movies AS m ON w.movie_id = m.movie_id
    WHERE w.user_id = u.user_id
    ORDER BY w.watched_at DESC, w.movie_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
WHERE u.user_id = %(user_id)s
"""


def write_watch(database: Database, watch: NewWatch) -> tuple[StoredWatch, bool]:
    """Mark a movie as watched.

    Returns:
        The view, and whether it is new.

    Raises:
        UnknownIdError: the user or the movie does not exist; nothing was written.
    """
    row, is_new = upsert_event(database, _WRITE, watch.model_dump())
    return cast("StoredWatch", row), is_new


def delete_watch(database: Database, user_id: int, movie_id: int) -> None:
    """Take back that a user has watched a movie.

    Raises:
        UnknownIdError: the user or the movie does not exist.
        NoSuchEventError: the user has not marked the movie as watched.
    """
    if not delete_event(database, _DELETE, user_id, movie_id):
        sentence = "{person} {user} has not marked {item} {movie} as watched."
        raise NoSuchEventError(sentence, user_id, movie_id, kind="unknown-watch")


def list_watched(database: Database, user_id: int, page: Page) -> tuple[list[WatchedMovie], int]:
    """Return one page of what a user has watched and the total.

    Raises:
        UnknownIdError: the user does not exist.
    """
    return cast("tuple[list[WatchedMovie], int]", pages.page_of_user(database, _LIST, user_id, page))
