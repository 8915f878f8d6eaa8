"""Items of the source become movies."""

from dataflix_source.client import Session
from dataflix_source.copying.people import Changes
from dataflix_source.errors import RefusedError
from dataflix_source.queries import STAGED

STAGE = "stage_items"


def create_stage(own: Session) -> None:
    """Create the empty staging table; it ends with the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in STAGED["items"])
    own.execute(
        f"CREATE TEMPORARY TABLE {STAGE} ({columns}, movie_id bigint, is_new boolean NOT NULL DEFAULT false)"
        " ON COMMIT DROP"
    )


def stage_target() -> str:
    """Return what COPY fills."""
    return f"{STAGE} ({', '.join(name for name, _ in STAGED['items'])})"


def find_gone(own: Session, keys: list[str] | None) -> int:
    """Collect the items that are not in the source any more, in the table gone_items; returns their number.

    Raises:
        RefusedError: an id stands twice in what was read.
    """
    shared = own.value(
        f"SELECT count(*) FROM (SELECT FROM {STAGE} GROUP BY source_key HAVING count(*) > 1) AS shared"
    )
    if shared:
        raise RefusedError(
            f"{shared:,} id(s) of items stand in several rows of the source. Two items can't have one id. "
            "`./run.sh source check` says where; nothing was changed."
        )
    own.execute(f"ANALYZE {STAGE}")
    own.execute(
        "CREATE TEMPORARY TABLE gone_items ON COMMIT DROP AS"
        f" SELECT i.source_key, i.movie_id FROM source.items AS i WHERE NOT EXISTS (SELECT FROM {STAGE} AS s"
        " WHERE s.source_key = i.source_key) AND (%s::text[] IS NULL OR i.source_key = ANY(%s))",
        (keys, keys),
    )
    return int(own.value("SELECT count(*) FROM gone_items"))


def apply(own: Session, *, compared: bool, read: int) -> Changes:
    """Bring movies in line with the staged items."""
    deleted = own.execute("DELETE FROM movies USING gone_items WHERE movies.movie_id = gone_items.movie_id")
    own.execute(
        f"UPDATE {STAGE} AS s SET movie_id = i.movie_id FROM source.items AS i WHERE i.source_key ="
        f" s.source_key"
    )
    inserted = own.execute(
        f"UPDATE {STAGE} SET movie_id = nextval(pg_get_serial_sequence('public.movies', 'movie_id')), is_new"
        f" = true"
        " WHERE movie_id IS NULL"
    )
    own.execute(
        "INSERT INTO movies (movie_id, title, genres, release_year, director, duration_minutes, description,"
        " created_at)"
        " SELECT movie_id, title, genres, release_year, director, duration_minutes, description,"
        f" coalesce(available_since, now()) FROM {STAGE} WHERE is_new"
    )
    own.execute(
        "INSERT INTO source.items (source_key, movie_id, attributes)"
        f" SELECT source_key, movie_id, attributes FROM {STAGE} WHERE is_new"
    )
    updated = own.execute(
        "UPDATE movies AS m SET title = s.title, genres = s.genres, release_year = s.release_year,"
        " director = s.director, duration_minutes = s.duration_minutes, description = s.description,"
        f" created_at = coalesce(s.available_since, m.created_at) FROM {STAGE} AS s"
        " WHERE m.movie_id = s.movie_id AND NOT s.is_new"
        " AND (m.title, m.genres, m.release_year, m.director, m.duration_minutes, m.description,"
        " m.created_at)"
        " IS DISTINCT FROM (s.title, s.genres, s.release_year, s.director, s.duration_minutes, s.description,"
        " coalesce(s.available_since, m.created_at))"
    )
    own.execute(
        f"UPDATE source.items AS i SET attributes = s.attributes FROM {STAGE} AS s"
        " WHERE i.source_key = s.source_key AND i.attributes <> s.attributes"
    )
    return Changes("items", compared, read, inserted, updated, deleted, 0)
