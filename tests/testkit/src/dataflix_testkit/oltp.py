"""Reads the application's tables."""

from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812

TABLES = ("users", "movies", "ratings", "watched_movies")


def fetch(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {table: fetch(connection, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def indexes_and_keys(connection: Connection) -> list[tuple[Any, ...]]:
    return fetch(
        connection,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text = ANY ("
        "ARRAY['users', 'movies', 'ratings', 'watched_movies']) UNION ALL "
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    )


def stored_ratings(connection: Connection) -> list[tuple[Any, ...]]:
    return fetch(
        connection,
        "SELECT user_id, movie_id, rating, extract(epoch FROM rated_at)::bigint FROM ratings ORDER BY 1, 2",
    )
