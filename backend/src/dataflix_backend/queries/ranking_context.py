"""What a ranking starts from: a user's events and blocks, the rules in force, the state of the movies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_backend.database import Database, Prepared, Row
from dataflix_backend.exceptions import UnknownIdError
from dataflix_recommender import Events, KindCounts, RuleKind

# One row, so one round trip. Events come as the bytes of whole columns, big-endian: SQL arrays of 130 events
# take 50 % longer, and Python makes an object for each value.
_RANKING = Prepared(
    "ranking_context",
    "bigint",
    """
SELECT
    $1 IS NULL OR EXISTS (SELECT FROM users WHERE user_id = $1) AS user_known,
    e.movie_ids,
    e.ratings,
    e.liked_codes,
    e.last_at,
    i.kind_movie_ids,
    i.kind_counts,
    i.kinds,
    pg_postmaster_start_time()::text AS server_started,
    'movies'::regclass::oid::text AS movies_relation,
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
    ) AS movies_last_xid,
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
        ) AS liked_codes,
        -- Older databases may hold infinite times, and some from the future.
        (extract(EPOCH FROM least(greatest(max(happened_at), 'epoch'), now())) * 1e6)::bigint AS last_at
    FROM (
        SELECT r.movie_id, r.rating, r.liked, r.rated_at AS happened_at
        FROM ratings AS r
        WHERE r.user_id = $1
        UNION ALL
        SELECT w.movie_id, NULL, NULL, w.watched_at
        FROM watched_movies AS w
        WHERE
            w.user_id = $1
            AND NOT EXISTS (
                SELECT FROM ratings AS r WHERE r.user_id = w.user_id AND r.movie_id = w.movie_id
            )
        UNION ALL
        SELECT x.movie_id, NULL::real, NULL::boolean, max(x.last_at)
        FROM interactions AS x
        INNER JOIN source.event_kinds AS k ON x.kind = k.kind AND k.weight IS NOT NULL
        WHERE
            x.user_id = $1
            AND NOT EXISTS (
                SELECT FROM ratings AS r WHERE r.user_id = x.user_id AND r.movie_id = x.movie_id
            )
            AND NOT EXISTS (
                SELECT FROM watched_movies AS w WHERE w.user_id = x.user_id AND w.movie_id = x.movie_id
            )
        GROUP BY x.movie_id
    ) AS events
) AS e
CROSS JOIN (
    SELECT
        coalesce(string_agg(int8send(x.movie_id), ''), '') AS kind_movie_ids,
        coalesce(string_agg(int8send(x.events_count), ''), '') AS kind_counts,
        coalesce(array_agg(x.kind), '{}') AS kinds
    FROM interactions AS x
    INNER JOIN source.event_kinds AS k ON x.kind = k.kind AND k.weight IS NOT NULL
    WHERE x.user_id = $1
) AS i
""",
)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule that is in force."""

    rule_id: int
    movie_id: int
    kind: RuleKind
    place: int | None
    strength: float | None


@dataclass(frozen=True, slots=True)
class MoviesState:
    """How much of the table of movies a statement saw, in the order of Postgres' transactions.

    Attributes:
        source: the server's start time and the table's oid.
        last_xid: the latest transaction seen that wrote or deleted movies, or from which on the record of
            deletions is complete.
        unseen_from: every transaction that the statement did not see has this id or a later one.
    """

    source: tuple[str, str]
    last_xid: int
    unseen_from: int


@dataclass(frozen=True, slots=True)
class RankingContext:
    """What a ranking starts from.

    Attributes:
        events: the user's ratings and views.
        blocked: ids of movies that are blocked for the user.
        rules: the rules in force, oldest first.
        movies: the state of the table of movies; None on a standby, and while changes are not captured.
    """

    events: Events
    blocked: list[int]
    rules: list[ActiveRule]
    movies: MoviesState | None = None


def load_ranking_context(database: Database, user_id: int | None) -> RankingContext:
    """Return the context of a user, or of a session without a user (None), as of now.

    An event is a rating or, for a movie without a rating, what was done with it: a view here, or events of
    the source by kind. A kind without a weight is an opinion, which is among the ratings.

    Raises:
        UnknownIdError: the user does not exist.
    """
    (row,) = database.query_prepared(_RANKING, user_id)
    if not row["user_known"]:
        raise UnknownIdError("user", user_id)
    movie_ids = np.frombuffer(row["movie_ids"], dtype=">i8").astype(np.int64)
    events = Events(
        movie_ids,
        np.frombuffer(row["ratings"], dtype=">f4").astype(np.float32),
        np.frombuffer(row["liked_codes"], dtype=">i2").astype(np.int8),
        _kind_counts(row, movie_ids),
        row["last_at"],
    )
    rules = [ActiveRule(**rule) for rule in row["rules"]]
    return RankingContext(events, row["blocked"], rules, _movies_state(row))


def _kind_counts(row: Row, movie_ids: NDArray[np.int64]) -> KindCounts | None:
    """Return what was done with the movies of a history, by kind; None where nothing was copied."""
    kinds: list[str] = row["kinds"]
    if not kinds:
        return None
    order = np.argsort(movie_ids)
    of_kinds = np.frombuffer(row["kind_movie_ids"], dtype=">i8").astype(np.int64)
    names = tuple(sorted(set(kinds)))
    code_of = {name: code for code, name in enumerate(names)}
    return KindCounts(
        order[np.searchsorted(movie_ids[order], of_kinds)],
        np.array([code_of[kind] for kind in kinds], dtype=np.int64),
        np.frombuffer(row["kind_counts"], dtype=">i8").astype(np.int64),
        names,
    )


def _movies_state(row: Row) -> MoviesState | None:
    last_xid, unseen_from = row["movies_last_xid"], row["unseen_from"]
    if last_xid is None or unseen_from is None:
        return None
    return MoviesState((row["server_started"], row["movies_relation"]), int(last_xid), int(unseen_from))
