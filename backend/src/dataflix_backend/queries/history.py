"""A user's history at this moment, and the film statistics that stand in while there is no model."""

from dataflix_backend.database import Database, Row
from dataflix_recommender.history import Event

_HISTORY = """
SELECT e.movie_id, e.rating, e.liked
FROM users AS u
LEFT JOIN LATERAL (
    SELECT r.movie_id, r.rating, r.liked
    FROM ratings AS r
    WHERE r.user_id = u.user_id
    UNION ALL
    SELECT w.movie_id, NULL, NULL
    FROM watched_movies AS w
    WHERE
        w.user_id = u.user_id
        AND NOT EXISTS (
            SELECT FROM ratings AS r WHERE r.user_id = w.user_id AND r.movie_id = w.movie_id
        )
) AS e ON true
WHERE u.user_id = %(user_id)s
"""

# Half of a rating's weight is gone after 30 days before the newest one; far older ones would underflow.
_STATISTICS = """
SELECT
    m.movie_id, m.title, m.genres, m.release_year,
    coalesce(r.ratings_count, 0) AS ratings_count,
    coalesce(r.ratings_sum, 0) AS ratings_sum,
    coalesce(r.trending_score, 0) AS trending_score
FROM movies AS m
LEFT JOIN (
    SELECT
        movie_id,
        count(*) AS ratings_count,
        sum(rating::float8) AS ratings_sum,
        sum(0.5 ^ least(extract(epoch FROM newest.rated_at - ratings.rated_at)::float8 / 2592000, 100))
            AS trending_score
    FROM ratings
    CROSS JOIN (SELECT max(rated_at) AS rated_at FROM ratings) AS newest
    GROUP BY movie_id
) AS r ON m.movie_id = r.movie_id
ORDER BY m.movie_id
"""


def user_events(database: Database, user_id: int) -> list[Event] | None:
    """Return what a user has rated or, if not rated, watched; None for an unknown user."""
    rows = database.query(_HISTORY, {"user_id": user_id})
    if not rows:
        return None
    return [(row["movie_id"], row["rating"], row["liked"]) for row in rows if row["movie_id"] is not None]


def film_statistics(database: Database) -> list[Row]:
    """Return every film with its ratings' count and sum and a time-decayed score, by movie_id."""
    return database.query(_STATISTICS)
