"""Events of the source become interactions, and from these follow watched movies and ratings.

A watched movie or a rating that people gave through our API stays: only what an earlier copy wrote, or what
is older, is replaced, and only what an earlier copy wrote is taken away.
"""

from dataflix_source.client import Session
from dataflix_source.copying.people import Changes
from dataflix_source.description.model import Description
from dataflix_source.queries import STAGED

STAGE = "stage_events"

# What the events of a pair say, all kinds together: the last time of what speaks for the item, and the last
# opinion.
_SUMMARY = """
SELECT
    x.user_id,
    x.movie_id,
    max(x.last_at) FILTER (WHERE k.weight > 0 OR k.weight IS NULL) AS watched_at,
    (array_agg(x.rating ORDER BY x.last_at DESC) FILTER (WHERE x.rating IS NOT NULL))[1] AS rating,
    (array_agg(x.liked ORDER BY x.last_at DESC) FILTER (WHERE x.rating IS NOT NULL))[1] AS liked,
    max(x.last_at) FILTER (WHERE x.rating IS NOT NULL) AS rated_at
FROM interactions AS x
INNER JOIN source.event_kinds AS k ON x.kind = k.kind
INNER JOIN touched AS p ON x.user_id = p.user_id AND x.movie_id = p.movie_id
GROUP BY x.user_id, x.movie_id
"""


def create_stage(own: Session) -> None:
    """Create the empty staging tables; they end with the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in STAGED["events"])
    own.execute(f"CREATE TEMPORARY TABLE {STAGE} ({columns}) ON COMMIT DROP")
    own.execute(
        "CREATE TEMPORARY TABLE arrived (entity text, user_id bigint, movie_id bigint, kind text,"
        " events_count bigint,"
        " first_at timestamptz, last_at timestamptz, rating real, liked boolean) ON COMMIT DROP"
    )
    # Which users' events were read of which entity; no row with a user stands for all users.
    own.execute("CREATE TEMPORARY TABLE scope (entity text, user_id bigint) ON COMMIT DROP")


def stage_target() -> str:
    """Return what COPY fills."""
    return f"{STAGE} ({', '.join(name for name, _ in STAGED['events'])})"


def take(own: Session, entity: str, keys: list[str] | None) -> tuple[int, int]:
    """Move the staged events of an entity to those that have arrived.

    Args:
        own: our own Postgres; people and items are up to date there.
        entity: whose events these are.
        keys: ids of the people whose events were asked for; None for all.

    Returns:
        The number of arrived rows, and of those whose person or item is not known.
    """
    own.execute(f"ANALYZE {STAGE}")
    staged = own.value(f"SELECT count(*) FROM {STAGE}")
    arrived = own.execute(
        "INSERT INTO arrived SELECT %s, p.user_id, i.movie_id, s.kind, s.events_count, s.first_at,"
        " s.last_at, s.rating,"
        f" s.liked FROM {STAGE} AS s INNER JOIN source.people AS p ON s.person_key = p.source_key"
        " INNER JOIN source.items AS i ON s.item_key = i.source_key",
        (entity,),
    )
    own.execute(f"TRUNCATE {STAGE}")
    if keys is None:
        own.execute("INSERT INTO scope VALUES (%s, NULL)", (entity,))
    else:
        own.execute(
            "INSERT INTO scope SELECT %s, user_id FROM source.people WHERE source_key = ANY(%s)",
            (entity, keys),
        )
    return arrived, int(staged) - arrived


def apply(own: Session, description: Description, taken: dict[str, tuple[bool, int, int]]) -> list[Changes]:
    """Bring interactions, watched movies and ratings in line with what has arrived.

    Args:
        own: our own Postgres.
        description: the kinds of events, and their weights.
        taken: for each entity whether all was compared, and the numbers that `take` returned.
    """
    kinds = [
        (kind, f"events.{number}", weight)
        for number, events in enumerate(description.events)
        for kind, weight in events.weights.items()
    ]
    own.execute("CREATE TEMPORARY TABLE wanted_kinds (kind text, entity text, weight real) ON COMMIT DROP")
    for kind in kinds:
        own.execute("INSERT INTO wanted_kinds VALUES (%s, %s, %s)", kind)
    own.execute("ANALYZE arrived")
    own.execute("ANALYZE scope")
    _find_touched(own)
    own.execute(f"CREATE TEMPORARY TABLE summary_before ON COMMIT DROP AS {_SUMMARY}")
    own.execute("DELETE FROM source.event_kinds WHERE kind NOT IN (SELECT kind FROM wanted_kinds)")
    own.execute(
        "INSERT INTO source.event_kinds AS k (kind, entity, weight) SELECT kind, entity, weight FROM"
        " wanted_kinds"
        " ON CONFLICT (kind) DO UPDATE SET entity = excluded.entity, weight = excluded.weight"
        " WHERE (k.entity, k.weight) IS DISTINCT FROM (excluded.entity, excluded.weight)"
    )
    counts = _write_interactions(own)
    own.execute(f"CREATE TEMPORARY TABLE summary_after ON COMMIT DROP AS {_SUMMARY}")
    own.execute("ANALYZE summary_before, summary_after")
    _write_watched(own)
    _write_ratings(own)
    return [
        Changes(entity, compared, read, *counts.get(entity, (0, 0, 0)), left_out)
        for entity, (compared, read, left_out) in taken.items()
    ]


# Interactions whose events were read, and that are not among them: the events are gone.
_GONE = """
SELECT x.user_id, x.movie_id, x.kind, k.entity
FROM interactions AS x
INNER JOIN wanted_kinds AS k ON x.kind = k.kind
INNER JOIN scope AS s ON k.entity = s.entity AND (s.user_id IS NULL OR s.user_id = x.user_id)
WHERE NOT EXISTS (
    SELECT FROM arrived AS a WHERE a.user_id = x.user_id AND a.movie_id = x.movie_id AND a.kind = x.kind
)
"""


def _find_touched(own: Session) -> None:
    own.execute(f"CREATE TEMPORARY TABLE gone_events ON COMMIT DROP AS {_GONE}")
    # A kind that the description does not have any more.
    own.execute(
        "INSERT INTO gone_events SELECT x.user_id, x.movie_id, x.kind, NULL FROM interactions AS x"
        " WHERE NOT EXISTS (SELECT FROM wanted_kinds AS k WHERE k.kind = x.kind)"
    )
    own.execute(
        "CREATE TEMPORARY TABLE changed_events ON COMMIT DROP AS SELECT a.*, x.kind IS NULL AS is_new FROM"
        " arrived AS a"
        " LEFT JOIN interactions AS x ON a.user_id = x.user_id AND a.movie_id = x.movie_id AND a.kind ="
        " x.kind"
        " WHERE x.kind IS NULL OR (a.events_count, a.first_at, a.last_at, a.rating, a.liked)"
        " IS DISTINCT FROM (x.events_count, x.first_at, x.last_at, x.rating, x.liked)"
    )
    # A kind that begins or ends to speak for items changes what was watched.
    own.execute(
        "CREATE TEMPORARY TABLE touched ON COMMIT DROP AS"
        " SELECT user_id, movie_id FROM gone_events UNION SELECT user_id, movie_id FROM changed_events"
        " UNION SELECT x.user_id, x.movie_id FROM interactions AS x"
        " INNER JOIN source.event_kinds AS k ON x.kind = k.kind INNER JOIN wanted_kinds AS w ON w.kind ="
        " k.kind"
        " WHERE (coalesce(k.weight, 1) > 0) <> (coalesce(w.weight, 1) > 0)"
    )
    own.execute("ANALYZE gone_events, changed_events, touched")


def _write_interactions(own: Session) -> dict[str, tuple[int, int, int]]:
    own.execute(
        "DELETE FROM interactions AS x USING gone_events AS g"
        " WHERE x.user_id = g.user_id AND x.movie_id = g.movie_id AND x.kind = g.kind"
    )
    own.execute(
        "INSERT INTO interactions (user_id, movie_id, kind, events_count, first_at, last_at, rating, liked)"
        " SELECT user_id, movie_id, kind, events_count, first_at, last_at, rating, liked FROM changed_events"
        " ON CONFLICT (user_id, movie_id, kind) DO UPDATE SET events_count = excluded.events_count,"
        " first_at = excluded.first_at, last_at = excluded.last_at, rating = excluded.rating, liked ="
        " excluded.liked"
    )
    counts = own.rows(
        "SELECT entity, sum(new)::bigint, sum(changed)::bigint, sum(gone)::bigint FROM ("
        " SELECT entity, count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS"
        " changed, 0 AS gone"
        " FROM changed_events GROUP BY entity"
        " UNION ALL SELECT entity, 0, 0, count(*) FROM gone_events WHERE entity IS NOT NULL GROUP BY entity"
        ") AS counted GROUP BY entity"
    )
    return {entity: (new, changed, gone) for entity, new, changed, gone in counts}


def _write_watched(own: Session) -> None:
    own.execute(
        "DELETE FROM watched_movies AS w USING summary_before AS b"
        " LEFT JOIN summary_after AS a ON a.user_id = b.user_id AND a.movie_id = b.movie_id"
        " WHERE w.user_id = b.user_id AND w.movie_id = b.movie_id AND w.watched_at = b.watched_at"
        " AND a.watched_at IS NULL"
    )
    own.execute(
        "INSERT INTO watched_movies AS w (user_id, movie_id, watched_at)"
        " SELECT user_id, movie_id, watched_at FROM summary_after WHERE watched_at IS NOT NULL"
        " ON CONFLICT (user_id, movie_id) DO UPDATE SET watched_at = excluded.watched_at"
        " WHERE w.watched_at < excluded.watched_at OR (w.watched_at > excluded.watched_at AND EXISTS ("
        "SELECT FROM summary_before AS b WHERE b.user_id = w.user_id AND b.movie_id = w.movie_id"
        " AND b.watched_at = w.watched_at))"
    )


def _write_ratings(own: Session) -> None:
    own.execute(
        "DELETE FROM ratings AS r USING summary_before AS b"
        " LEFT JOIN summary_after AS a ON a.user_id = b.user_id AND a.movie_id = b.movie_id"
        " WHERE r.user_id = b.user_id AND r.movie_id = b.movie_id AND r.rated_at = b.rated_at AND r.rating ="
        " b.rating"
        " AND a.rated_at IS NULL"
    )
    own.execute(
        "INSERT INTO ratings AS r (user_id, movie_id, rating, liked, rated_at)"
        " SELECT user_id, movie_id, rating, liked, rated_at FROM summary_after WHERE rated_at IS NOT NULL"
        " ON CONFLICT (user_id, movie_id) DO UPDATE SET"
        " rating = excluded.rating, liked = excluded.liked, rated_at = excluded.rated_at"
        " WHERE r.rated_at < excluded.rated_at OR EXISTS ("
        "SELECT FROM summary_before AS b WHERE b.user_id = r.user_id AND b.movie_id = r.movie_id"
        " AND b.rated_at = r.rated_at AND b.rating = r.rating)"
    )
