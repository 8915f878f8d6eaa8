"""What a ranking starts from at this moment, and the film statistics that stand in for a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataflix_backend.database import Database, Prepared, Row
from dataflix_backend.errors import NotFoundProblem
from dataflix_recommender import Events, RuleKind

# One row, so one round trip. Events come as the bytes of whole columns, each number's highest byte first:
# arrays of 130 of them take half as long again, and then Python makes an object of each value.
_RANKING = Prepared(
    "ranking_ground",
    "bigint",
    """
SELECT
    $1 IS NULL OR EXISTS (SELECT FROM users WHERE user_id = $1) AS user_known,
    e.movie_ids,
    e.ratings,
    e.liked_codes,
    ARRAY(
        SELECT b.movie_id
        FROM user_blocks AS b
        WHERE b.user_id = $1 AND (b.ends_at IS NULL OR b.ends_at > now())
    ) AS blocked,
    (
        SELECT coalesce(json_agg(active), '[]')
        FROM (
            SELECT r.rule_id, r.movie_id, r.kind, r.place, r.strength
            FROM ranking_rules AS r
            WHERE r.starts_at <= now() AND r.ends_at > now()
            ORDER BY r.rule_id
        ) AS active
    ) AS rules
FROM (
    SELECT
        coalesce(string_agg(int8send(movie_id), ''), '') AS movie_ids,
        coalesce(string_agg(float4send(coalesce(rating, 'NaN')), ''), '') AS ratings,
        coalesce(
            string_agg(int2send(CASE WHEN liked THEN 1 WHEN NOT liked THEN 2 ELSE 0 END::int2), ''), ''
        ) AS liked_codes
    FROM (
        SELECT r.movie_id, r.rating, r.liked
        FROM ratings AS r
        WHERE r.user_id = $1
        UNION ALL
        SELECT w.movie_id, NULL, NULL
        FROM watched_movies AS w
        WHERE
            w.user_id = $1
            AND NOT EXISTS (
                SELECT FROM ratings AS r WHERE r.user_id = w.user_id AND r.movie_id = w.movie_id
            )
    ) AS events
) AS e
""",
)

_GONE = """
SELECT known.user_id
FROM unnest(%(user_ids)s::bigint[]) AS known (user_id)
WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.user_id = known.user_id)
"""

# Half of a rating's weight is gone after 30 days before the newest one; far older ones would underflow.
_STATISTICS = """
SELECT
    m.movie_id, m.title, m.genres, m.release_year, m.duration_minutes,
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


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule that is in force."""

    rule_id: int
    movie_id: int
    kind: RuleKind
    place: int | None
    strength: float | None


@dataclass(frozen=True, slots=True)
class Ground:
    """What a ranking starts from: events, films that are blocked, and the rules in force, oldest first."""

    events: Events
    blocked: list[int]
    rules: list[ActiveRule]


def ground(database: Database, user_id: int | None) -> Ground:
    """Return what is known of a user, or of nobody in particular (None), at this moment.

    An event is a rating or, for a film that is not rated, a view. Raises NotFoundProblem for an unknown user.
    """
    (row,) = database.query_prepared(_RANKING, user_id)
    if not row["user_known"]:
        raise NotFoundProblem("user", user_id)
    events = Events(
        np.frombuffer(row["movie_ids"], dtype=">i8").astype(np.int64),
        np.frombuffer(row["ratings"], dtype=">f4").astype(np.float32),
        np.frombuffer(row["liked_codes"], dtype=">i2").astype(np.int8),
    )
    return Ground(events, row["blocked"], [ActiveRule(**rule) for rule in row["rules"]])


def users_gone(database: Database, user_ids: Sequence[int]) -> list[int]:
    """Return those of the users who do not exist (any more)."""
    return [row["user_id"] for row in database.query(_GONE, {"user_ids": list(user_ids)})]


def film_statistics(database: Database) -> list[Row]:
    """Return every film with its ratings' count and sum and a time-decayed score, by movie_id."""
    return database.query(_STATISTICS)
