"""The source that our tables are a copy of: what it is, and the ids that it gives to people and items."""

from collections.abc import Collection, Iterator

from dataflix_backend.database import Database, Row
from dataflix_backend.source import OUR_TABLES, EventKind, Identity, IdForm, Source, Thing, Words

_SOURCE = """
SELECT
    c.source_name, c.system_identifier, c.database_oid, c.read_at,
    coalesce(d.item, 'movie') AS item, coalesce(d.items, 'movies') AS items,
    coalesce(d.person, 'user') AS person, coalesce(d.people, 'users') AS people,
    coalesce(d.person_id_type, 'text') AS person_id_type, coalesce(d.item_id_type, 'text') AS item_id_type,
    ARRAY(SELECT k.kind FROM source.event_kinds AS k ORDER BY k.kind) AS kinds,
    ARRAY(SELECT k.weight::float8 FROM source.event_kinds AS k ORDER BY k.kind) AS weights
FROM source.copies AS c
LEFT JOIN source.description AS d ON true
WHERE c.entity = 'people'
"""

_NUMBERS = """
SELECT 'user' AS thing, source_key, user_id AS number
FROM source.people
WHERE source_key = ANY(%(people)s::text[])
UNION ALL
SELECT 'movie', source_key, movie_id
FROM source.items
WHERE source_key = ANY(%(items)s::text[])
"""

_KEYS = """
SELECT 'user' AS thing, source_key, user_id AS number
FROM source.people
WHERE user_id = ANY(%(users)s::bigint[])
UNION ALL
SELECT 'movie', source_key, movie_id
FROM source.items
WHERE movie_id = ANY(%(movies)s::bigint[])
"""

_ITEMS = "SELECT movie_id, source_key FROM source.items ORDER BY movie_id DESC LIMIT %(limit)s"


def load_source(database: Database) -> Source:
    """Return what our tables are a copy of."""
    rows = database.query(_SOURCE)
    return _source(rows[0]) if rows else OUR_TABLES


def _source(row: Row) -> Source:
    return Source(
        Identity(row["source_name"], row["system_identifier"], row["database_oid"]),
        Words(row["item"], row["items"], row["person"], row["people"]),
        IdForm(row["person_id_type"]),
        IdForm(row["item_id_type"]),
        tuple(EventKind(*kind) for kind in zip(row["kinds"], row["weights"], strict=True)),
        row["read_at"],
    )


def find_numbers(
    database: Database, people: Collection[str], items: Collection[str]
) -> Iterator[tuple[Thing, str, int]]:
    """Yield thing, source's id and our number of those that exist."""
    for row in database.query(_NUMBERS, {"people": list(people), "items": list(items)}):
        yield row["thing"], row["source_key"], row["number"]


def find_keys(
    database: Database, users: Collection[int], movies: Collection[int]
) -> Iterator[tuple[Thing, str, int]]:
    """Yield the same for our numbers."""
    for row in database.query(_KEYS, {"users": list(users), "movies": list(movies)}):
        yield row["thing"], row["source_key"], row["number"]


def load_items(database: Database, limit: int) -> dict[int, str]:
    """Return the source's ids of the newest movies, by our numbers."""
    return {row["movie_id"]: row["source_key"] for row in database.query(_ITEMS, {"limit": limit})}
