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
    pg_postmaster_start_time()::text AS server_started,
    'movies'::regclass::oid::text AS films_relation,
    CASE WHEN NOT pg_is_in_recovery() THEN pg_snapshot_xmin(pg_current_snapshot())::text END AS unseen_from,
    (
        SELECT
            greatest(
                t.complete_from,
                (SELECT m.last_xid FROM movies AS m ORDER BY m.last_xid DESC LIMIT 1),
                (
                    SELECT d.last_xid
                    FROM capture.deletions AS d
                    WHERE d.table_name = 'movies'
                    ORDER BY d.last_xid DESC
                    LIMIT 1
                )
            )::text
        FROM capture.tracked AS t
        WHERE t.table_name = 'movies' AND t.relation = 'movies'::regclass
    ) AS films_changed_in,
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
class FilmsState:
    """How far a statement saw the table of films, by Postgres' own order of transactions.

    ``source`` names the server's run and the table. ``changed_in`` is the latest transaction seen to have
    written or deleted films, or to have made what was written down of that incomplete; whatever was not seen
    comes from ``unseen_from`` or later ones.
    """

    source: tuple[str, str]
    changed_in: int
    unseen_from: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What a ranking starts from: events, films that are blocked, and the rules in force, oldest first.

    ``films`` is None where nothing can be said of it: on a standby, and while films are not tracked.
    """

    events: Events
    blocked: list[int]
    rules: list[ActiveRule]
    films: FilmsState | None = None


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
    return Ground(events, row["blocked"], [ActiveRule(**rule) for rule in row["rules"]], _films_state(row))


def _films_state(row: Row) -> FilmsState | None:
    changed_in, unseen_from = row["films_changed_in"], row["unseen_from"]
    if changed_in is None or unseen_from is None:
        return None
    return FilmsState((row["server_started"], row["films_relation"]), int(changed_in), int(unseen_from))


def users_gone(database: Database, user_ids: Sequence[int]) -> list[int]:
    """Return those of the users who do not exist (any more)."""
    return [row["user_id"] for row in database.query(_GONE, {"user_ids": list(user_ids)})]


def film_statistics(database: Database) -> list[Row]:
    """Return every film with its ratings' count and sum and a time-decayed score, by movie_id."""
    return database.query(_STATISTICS)
