"""Merges the staging tables into the application's tables, set by set.

What is already there and not older stays, so that merging the same data again changes nothing and a rating
given through the API since then survives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case

from dataflix_loader.database import staging
from dataflix_loader.errors import ConflictError

TABLES = ("users", "movies", "ratings", "watched_movies")

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

# Details that somebody added to a film stay where the data set has none.
_MOVIES = """
INSERT INTO movies AS kept (
    movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id
)
SELECT movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id
FROM stage_movies
ON CONFLICT (movie_id) DO UPDATE SET
    genres = excluded.genres,
    release_year = coalesce(excluded.release_year, kept.release_year),
    director = coalesce(excluded.director, kept.director),
    duration_minutes = coalesce(excluded.duration_minutes, kept.duration_minutes),
    description = coalesce(excluded.description, kept.description),
    imdb_id = coalesce(excluded.imdb_id, kept.imdb_id),
    tmdb_id = coalesce(excluded.tmdb_id, kept.tmdb_id)
WHERE (
    kept.genres, kept.release_year, kept.director, kept.duration_minutes,
    kept.description, kept.imdb_id, kept.tmdb_id
) IS DISTINCT FROM (
    excluded.genres, coalesce(excluded.release_year, kept.release_year),
    coalesce(excluded.director, kept.director), coalesce(excluded.duration_minutes, kept.duration_minutes),
    coalesce(excluded.description, kept.description), coalesce(excluded.imdb_id, kept.imdb_id),
    coalesce(excluded.tmdb_id, kept.tmdb_id)
)
"""

_ALL_RATINGS = """
INSERT INTO ratings (user_id, movie_id, rating, liked, rated_at)
SELECT user_id, movie_id, rating, liked, to_timestamp(rated_epoch) FROM stage_ratings
"""

# The anti-join first: looking up every known row in the key's index would cost several times as much.
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
class Merged:
    """What a merge did to one table."""

    inserted: int
    updated: int


def merge(cursor: Cursor) -> dict[str, Merged]:
    """Merge all staging tables; a rating also counts as a view at the same moment.

    Raises:
        ConflictError: the database holds other films or other people under the same ids.
        psycopg2.IntegrityError: the staged rows break a rule of the tables.
    """
    # Readers go on; writers wait, so that nobody slips in between a look and a write.
    cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN SHARE ROW EXCLUSIVE MODE")
    staging.analyze(cursor, "stage_users", "stage_movies", "stage_ratings", "stage_watched")
    _refuse_other_films(cursor)
    _refuse_other_people(cursor)
    cursor.execute(_NEW_USERS)
    merged = {"users": Merged(cursor.rowcount, 0), "movies": _upsert(cursor, _MOVIES)}
    merged["ratings"] = _merge_ratings(cursor)
    merged["watched_movies"] = _merge_watched(cursor)
    for table, key in (("users", "user_id"), ("movies", "movie_id")):
        _move_sequence(cursor, table, key)
    if any(done.inserted or done.updated for done in merged.values()):
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")
    return merged


def _merge_ratings(cursor: Cursor) -> Merged:
    if not _is_empty(cursor, "ratings"):
        return _upsert(cursor, _CHANGED_RATINGS)
    with _keys_and_indexes_built_afterwards(cursor, "ratings"):
        cursor.execute(_ALL_RATINGS)
        return Merged(cursor.rowcount, 0)


def _merge_watched(cursor: Cursor) -> Merged:
    from_ratings = {"source": "stage_ratings", "epoch": "rated_epoch"}
    from_views = {"source": "stage_watched", "epoch": "watched_epoch"}
    if _is_empty(cursor, "watched_movies"):
        has_views = not _is_empty(cursor, "stage_watched")
        with _keys_and_indexes_built_afterwards(cursor, "watched_movies", primary_key_too=not has_views):
            cursor.execute(_ALL_WATCHED.format(**from_ratings))
            first, second = Merged(cursor.rowcount, 0), Merged(0, 0)
            if has_views:
                second = _upsert(cursor, _CHANGED_WATCHED.format(**from_views))
    else:
        first = _upsert(cursor, _CHANGED_WATCHED.format(**from_ratings))
        second = _upsert(cursor, _CHANGED_WATCHED.format(**from_views))
    return Merged(first.inserted + second.inserted, first.updated + second.updated)


def _upsert(cursor: Cursor, statement: str) -> Merged:
    # A row version that an INSERT made has no xmax; one that replaced another has.
    cursor.execute(
        f"WITH written AS ({statement} RETURNING (xmax = 0) AS is_new) "
        "SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"
    )
    inserted, updated = cursor.fetchone() or (0, 0)
    return Merged(inserted, updated)


def _is_empty(cursor: Cursor, table: str) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {table})")
    return bool((cursor.fetchone() or (False,))[0])


@contextmanager
def _keys_and_indexes_built_afterwards(
    cursor: Cursor, table: str, *, primary_key_too: bool = True
) -> Iterator[None]:
    """Drop a table's keys and indexes, and make them anew at the end.

    Checking 3 million new ratings row by row took 37 s, checking them as a set 1.2 s; a primary key that is
    built at the end takes half as long as one that grows with each row.

    Args:
        primary_key_too: false where the block's statements need it (ON CONFLICT).
    """
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %s::regclass AND contype = ANY(%s) ORDER BY contype = 'f'",
        (table, ["p", "f"] if primary_key_too else ["f"]),
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
    # The primary key comes first: whatever is wrong with the rows is then told at once.
    for name, definition in constraints:
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        cursor.execute(definition)


def _move_sequence(cursor: Cursor, table: str, key: str) -> None:
    """Have the next row that the application makes get an id above all that were loaded."""
    cursor.execute(
        f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), top) "
        f"FROM (SELECT max({key}) AS top FROM {table}) AS loaded, {table}_{key}_seq AS sequence "
        "WHERE top > last_value OR (top = last_value AND NOT is_called)"
    )


def _refuse_other_films(cursor: Cursor) -> None:
    # Materialised: for one row in order the planner would rather look at every pair of films.
    cursor.execute(
        "WITH conflicts AS MATERIALIZED ("
        "    SELECT movie_id, known.title, staged.title "
        "    FROM movies AS known JOIN stage_movies AS staged USING (movie_id) "
        "    WHERE known.title <> staged.title OR known.release_year <> staged.release_year"
        ") SELECT * FROM conflicts ORDER BY 1 LIMIT 1"
    )
    if found := cursor.fetchone():
        raise ConflictError(
            f"The database holds another catalogue: film {found[0]} is {found[1]!r} there "
            f"and {found[2]!r} in the data. Load into an empty database "
            "(./stop.sh --purge empties the local one)."
        )


def _refuse_other_people(cursor: Cursor) -> None:
    # Invented addresses name the data set in their domain, so this tells its people from all others.
    cursor.execute(
        "WITH conflicts AS MATERIALIZED ("
        "    SELECT user_id FROM users AS known JOIN stage_users AS staged USING (user_id) "
        "    WHERE split_part(known.email, '@', 2) <> split_part(staged.email, '@', 2)"
        ") SELECT * FROM conflicts ORDER BY 1 LIMIT 1"
    )
    if found := cursor.fetchone():
        raise ConflictError(
            f"The database holds other people: user {found[0]} does not come from this kind of data set. "
            "Load into an empty database (./stop.sh --purge empties the local one)."
        )
