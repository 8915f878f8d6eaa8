"""Ratings of movies by users."""

from typing import Any, cast

from dataflix_backend.database import Database
from dataflix_backend.exceptions import NoSuchEventError
from dataflix_backend.queries import pages
from dataflix_backend.queries.events import delete_event, upsert_event
from dataflix_backend.schemas.common import Page
from dataflix_backend.schemas.events import NewRating, RatedMovie, StoredRating

# xmax is 0 in a row that was just inserted; in an updated one it names the transaction that locked it.
_WRITE = """
WITH known AS (
    SELECT
        EXISTS (SELECT FROM users WHERE user_id = %(user_id)s) AS user_known,
        (SELECT title FROM movies WHERE movie_id = %(movie_id)s) AS title
),
stored AS (
    INSERT INTO ratings AS old (user_id, movie_id, rating, liked)
    SELECT %(user_id)s, %(movie_id)s, %(rating)s, %(liked)s
    FROM known
    WHERE user_known AND title IS NOT NULL
    ON CONFLICT (user_id, movie_id) DO UPDATE SET
        rating = excluded.rating,
        liked = CASE WHEN %(keep_liked)s THEN old.liked ELSE excluded.liked END,
        rated_at = excluded.rated_at
    RETURNING user_id, movie_id, rating, liked, rated_at, xmax = 0 AS is_new
)
SELECT known.user_known, known.title, stored.*
FROM known
LEFT JOIN stored ON true
"""

_DELETE = """
WITH deleted AS (
    DELETE FROM ratings
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
    (SELECT count(*) FROM ratings AS all_ratings WHERE all_ratings.user_id = u.user_id) AS total,
    page.*
FROM users AS u
LEFT JOIN LATERAL (
    SELECT m.movie_id, m.title, m.genres, m.release_year, r.rating, r.liked, r.rated_at
    FROM ratings AS r
    INNER JOIN movies AS m ON r.movie_id = m.movie_id
    WHERE r.user_id = u.user_id
    ORDER BY r.rated_at DESC, r.movie_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
WHERE u.user_id = %(user_id)s
"""


def write_rating(database: Database, rating: NewRating) -> tuple[StoredRating, bool]:
    """Create or change a rating.

    Returns:
        The rating, and whether it is new.

    Raises:
        UnknownIdError: the user or the movie does not exist; nothing was written.
    """
    parameters: dict[str, Any] = rating.model_dump()
    parameters["keep_liked"] = "liked" not in rating.model_fields_set
    row, is_new = upsert_event(database, _WRITE, parameters)
    return cast("StoredRating", row), is_new


def delete_rating(database: Database, user_id: int, movie_id: int) -> None:
    """Delete a rating.

    Raises:
        UnknownIdError: the user or the movie does not exist.
        NoSuchEventError: the user has not rated the movie.
    """
    if not delete_event(database, _DELETE, user_id, movie_id):
        sentence = "{person} {user} has not rated {item} {movie}."
        raise NoSuchEventError(sentence, user_id, movie_id, kind="unknown-rating")


def list_ratings(database: Database, user_id: int, page: Page) -> tuple[list[RatedMovie], int]:
    """Return one page of a user's ratings and their total.

    Raises:
        UnknownIdError: the user does not exist.
    """
    return cast("tuple[list[RatedMovie], int]", pages.page_of_user(database, _LIST, user_id, page))
