"""Upserts the staging tables into the application's tables, one statement per table.

A row that is already there and not older stays. So loading the same data again changes nothing, and a newer
rating that came through the API survives. Titles, years and genres are those of the data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case

from dataflix_loader.database import staging
from dataflix_loader.database.corrections import Corrections, find_corrections
from dataflix_loader.errors import ConflictError

TABLES = ("users", "movies", "ratings", "watched_movies")

# A sequence that starts here has 4 billion ids before it ends.
_LAST_SEQUENCE_ID = 2**63 - 2**32

_NEW_USERS = """
INSERT INTO users (
    user_id, username, email, first_name, last_name, city, state, country, birth_year, created_at
)
SELECT
    user_id, username, email, first_name, last_name, city, state, country, birth_year,
    to_timestamp(created_epoch)
FROM stage_users AS staged
WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = staged.user_id)
"""

# Where the data set has no value, details that were added to a movie stay. Corrected titles are taken over.
_MOVIES = """
INSERT INTO movies AS kept (
    movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id
)
SELECT movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id
FROM stage_movies
ON CONFLICT (movie_id) DO UPDATE SET
    title = excluded.title,
    genres = excluded.genres,
    release_year = coalesce(excluded.release_year, kept.release_year),
    director = coalesce(excluded.director, kept.director),
    duration_minutes = coalesce(excluded.duration_minutes, kept.duration_minutes),
    description = coalesce(excluded.description, kept.description),
    imdb_id = coalesce(excluded.imdb_id, kept.imdb_id),
    tmdb_id = coalesce(excluded.tmdb_id, kept.tmdb_id)
WHERE (
    kept.title, kept.genres, kept.release_year, kept.director, kept.duration_minutes,
    kept.description, kept.imdb_id, kept.tmdb_id
) IS DISTINCT FROM (
    excluded.title, excluded.genres, coalesce(excluded.release_year, kept.release_year),
    coalesce(excluded.director, kept.director), coalesce(excluded.duration_minutes, kept.duration_minutes),
    coalesce(excluded.description, kept.description), coalesce(excluded.imdb_id, kept.imdb_id),
    coalesce(excluded.tmdb_id, kept.tmdb_id)
)
"""

_ALL_RATINGS = """
INSERT INTO ratings (user_id, movie_id, rating, liked, rated_at)
SELECT user_id, movie_id, rating, liked, to_timestamp(rated_epoch) FROM stage_ratings
"""

# The anti-join comes first: a lookup of each known row in the primary key would cost several times as much.
_CHANGED_RATINGS = """
INSERT INTO ratings AS kept (user_id, movie_id, rating, liked, rated_at)
SELECT user_id, movie_id, rating, liked, to_timestamp(rated_epoch)
FROM stage_ratings AS staged
WHERE NOT EXISTS (
    SELECT FROM ratings AS known
    WHERE
        known.user_id = staged.user_id
        AND known.movie_id = staged.movie_id
        AND (
            known.rated_at > to_timestamp(staged.rated_epoch)
            OR (known.rated_at = to_timestamp(staged.rated_epoch) AND known.rating = staged.rating)
        )
)
ON CONFLICT (user_id, movie_id) DO UPDATE
    SET rating = excluded.rating, liked = excluded.liked, rated_at = excluded.rated_at
"""

_ALL_WATCHED = """
INSERT INTO watched_movies (user_id, movie_id, watched_at)
SELECT user_id, movie_id, to_timestamp({epoch}) FROM {source}
"""

_CHANGED_WATCHED = """
INSERT INTO watched_movies AS kept (user_id, movie_id, watched_at)
SELECT user_id, movie_id, to_timestamp({epoch})
FROM {source} AS staged
WHERE NOT EXISTS (
    SELECT FROM watched_movies AS known
    WHERE
        known.user_id = staged.user_id
        AND known.movie_id = staged.movie_id
        AND known.watched_at >= to_timestamp(staged.{epoch})
)
ON CONFLICT (user_id, movie_id) DO UPDATE SET watched_at = excluded.watched_at
"""


@dataclass(frozen=True)
class RowChanges:
    """How many rows of a table were inserted and updated."""

    inserted: int
    updated: int


@dataclass(frozen=True)
class UpsertResult:
    """What the upsert changed.

    Attributes:
        changes: the changes of each table, by its name.
        corrections: the corrected movies among the updated ones.
    """

    changes: dict[str, RowChanges]
    corrections: Corrections


def upsert_staged_rows(cursor: Cursor, *, accept_other_titles: bool = False) -> UpsertResult:
    """Upsert all staging tables. A rating also counts as a view at the same time.

    Args:
        accept_other_titles: the movies of the database are those of the data, even if their titles differ
            more than a correction would explain.

    Raises:
        ConflictError: the database holds other movies or other users under the same ids.
        psycopg2.IntegrityError: the staged rows violate a constraint of the tables.
    """
    # Readers continue; writers wait, so that nothing changes between a check and a write.
    cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN SHARE ROW EXCLUSIVE MODE")
    staging.analyze(cursor, "stage_users", "stage_movies", "stage_ratings", "stage_watched")
    corrections = find_corrections(cursor, accept_other_titles=accept_other_titles)
    _reject_other_users(cursor)
    cursor.execute(_NEW_USERS)
    changes = {"users": RowChanges(cursor.rowcount, 0), "movies": _upsert(cursor, _MOVIES)}
    changes["ratings"] = _upsert_ratings(cursor)
    changes["watched_movies"] = _upsert_watched(cursor)
    for table, key in (("users", "user_id"), ("movies", "movie_id")):
        _move_sequence(cursor, table, key)
    if any(change.inserted or change.updated for change in changes.values()):
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")
    return UpsertResult(changes, corrections)


def _upsert_ratings(cursor: Cursor) -> RowChanges:
    if not _is_empty(cursor, "ratings"):
        return _upsert(cursor, _CHANGED_RATINGS)
    with _constraints_and_indexes_dropped(cursor, "ratings"):
        cursor.execute(_ALL_RATINGS)
        return RowChanges(cursor.rowcount, 0)


def _upsert_watched(cursor: Cursor) -> RowChanges:
    from_ratings = {"source": "stage_ratings", "epoch": "rated_epoch"}
    from_views = {"source": "stage_watched", "epoch": "watched_epoch"}
    if _is_empty(cursor, "watched_movies"):
        has_views = not _is_empty(cursor, "stage_watched")
        with _constraints_and_indexes_dropped(cursor, "watched_movies", with_primary_key=not has_views):
            cursor.execute(_ALL_WATCHED.format(**from_ratings))
            first, second = RowChanges(cursor.rowcount, 0), RowChanges(0, 0)
            if has_views:
                second = _upsert(cursor, _CHANGED_WATCHED.format(**from_views))
    else:
        first = _upsert(cursor, _CHANGED_WATCHED.format(**from_ratings))
        second = _upsert(cursor, _CHANGED_WATCHED.format(**from_views))
    return RowChanges(first.inserted + second.inserted, first.updated + second.updated)


def _upsert(cursor: Cursor, statement: str) -> RowChanges:
    # A row version that an INSERT made has no xmax; one that replaced another has.
    cursor.execute(
        f"WITH written AS ({statement} RETURNING (xmax = 0) AS is_new) "
        "SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"
    )
    inserted, updated = cursor.fetchone() or (0, 0)
    return RowChanges(inserted, updated)


def _is_empty(cursor: Cursor, table: str) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {table})")
    return bool((cursor.fetchone() or (False,))[0])


@contextmanager
def _constraints_and_indexes_dropped(
    cursor: Cursor, table: str, *, with_primary_key: bool = True
) -> Iterator[None]:
    """Drop a table's keys and indexes, and create them again at the end of the block.

    Foreign keys of 3 million new ratings take 37 s row by row and 1.2 s as a set. A primary key that is built
    at the end takes half as long as one that grows with each row.

    Args:
        with_primary_key: drop the primary key too; false if statements in the block need it (ON CONFLICT).
    """
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %s::regclass AND contype = ANY(%s) ORDER BY contype = 'f'",
        (table, ["p", "f"] if with_primary_key else ["f"]),
    )
    constraints = cursor.fetchall()
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = %s::regclass "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')",
        (table,),
    )
    indexes = cursor.fetchall()
    for name, _ in constraints:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    # The primary key comes first, so that a duplicate fails before the other keys are built.
    for name, definition in constraints:
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        cursor.execute(definition)


def _move_sequence(cursor: Cursor, table: str, key: str) -> None:
    """Move the sequence of ids above all loaded ids, so that the application's next row gets a free one.

    Ids near the largest bigint do not count: after them the application could not add any row.
    """
    cursor.execute(
        f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), top) "
        f"FROM (SELECT max({key}) AS top FROM {table} WHERE {key} <= {_LAST_SEQUENCE_ID}) AS loaded, "
        f"{table}_{key}_seq AS sequence "
        "WHERE top > last_value OR (top = last_value AND NOT is_called)"
    )


def _reject_other_users(cursor: Cursor) -> None:
    # The domain of invented addresses names the data set, so it separates its users from all others.
    cursor.execute(
        "WITH conflicts AS MATERIALIZED ("
        "    SELECT user_id FROM users AS known JOIN stage_users AS staged USING (user_id) "
        "    WHERE split_part(known.email, '@', 2) <> split_part(staged.email, '@', 2)"
        ") SELECT * FROM conflicts ORDER BY 1 LIMIT 1"
    )
    if found := cursor.fetchone():
        raise ConflictError(
            f"The database holds other users: user {found[0]} does not come from this kind of data set. "
            "Load into an empty database (./stop.sh --purge empties the local one)."
        )
