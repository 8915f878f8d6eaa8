"""Films in Postgres."""

from collections.abc import Sequence
from typing import Any, cast

from dataflix_backend.database import Database, Prepared, Row
from dataflix_backend.queries import pages
from dataflix_backend.queries.text import like_prefix, word_prefixes
from dataflix_backend.schemas.movies import Genre, Movie, MovieQuery, MovieSummary

# The parameters arrive as literals, so a condition whose parameter is null costs nothing.
_LIST = """
WITH matching AS (
    SELECT movie_id, title, genres, release_year, director, duration_minutes
    FROM movies
    WHERE
        (
            %(prefix)s IS NULL
            OR lower(title) LIKE lower(%(prefix)s)
            OR to_tsvector('simple', title) @@ to_tsquery('simple', %(words)s)
        )
        AND (
            %(genre)s IS NULL
            OR EXISTS (SELECT FROM unnest(genres) AS g (genre) WHERE lower(g.genre) = lower(%(genre)s))
        )
        AND (%(year_from)s IS NULL OR release_year >= %(year_from)s)
        AND (%(year_to)s IS NULL OR release_year <= %(year_to)s)
)
SELECT
    (SELECT count(*) FROM matching) AS total,
    page.*
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT *
    FROM matching
    ORDER BY
        lower(title) = lower(%(q)s) DESC,
        lower(title) LIKE lower(%(prefix)s) DESC,
        title,
        release_year,
        movie_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
"""

_SHOW = """
SELECT
    movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id,
    r.ratings_count, r.mean_rating, created_at, updated_at
FROM movies
CROSS JOIN (
    SELECT count(*) AS ratings_count, avg(rating) AS mean_rating
    FROM ratings
    WHERE movie_id = %(movie_id)s
) AS r
WHERE movie_id = %(movie_id)s
"""

_BY_ID = Prepared(
    "films_by_id",
    "bigint []",
    """
SELECT movie_id, title, genres, release_year
FROM movies
WHERE movie_id = ANY($1)
""",
)

_OF_SAME_GENRES = """
SELECT
    m.movie_id, m.title, m.genres, m.release_year,
    shared.n::float8 / (cardinality(m.genres) + cardinality(t.genres) - shared.n) AS score
FROM movies AS t
INNER JOIN movies AS m ON t.genres && m.genres AND t.movie_id <> m.movie_id
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM unnest(m.genres) AS g (genre) WHERE g.genre = ANY(t.genres)
) AS shared
WHERE t.movie_id = %(movie_id)s
ORDER BY score DESC, abs(m.release_year - t.release_year) NULLS LAST, m.movie_id
LIMIT %(limit)s
"""

_GENRES = """
SELECT g.genre, count(*) AS movies_count
FROM movies
CROSS JOIN unnest(genres) AS g (genre)
GROUP BY g.genre
ORDER BY g.genre
"""


def list_movies(database: Database, query: MovieQuery) -> tuple[list[MovieSummary], int]:
    """Return one page of films and how many match."""
    parameters: dict[str, Any] = query.model_dump()
    parameters["q"] = query.q or None
    parameters["prefix"] = like_prefix(query.q) if query.q else None
    parameters["words"] = word_prefixes(query.q) if query.q else None
    page, total = pages.split(database.query(_LIST, parameters), "movie_id")
    return cast("list[MovieSummary]", page), total


def find_movie(database: Database, movie_id: int) -> Movie | None:
    """Return the film, None when there is none."""
    rows = database.query(_SHOW, {"movie_id": movie_id})
    return cast("Movie", rows[0]) if rows else None


def films_by_id(database: Database, movie_ids: Sequence[int]) -> dict[int, Row]:
    """Return those of the films that exist: movie_id, title, genres, release_year by movie_id."""
    rows = database.query_prepared(_BY_ID, list(movie_ids))
    return {row["movie_id"]: row for row in rows}


def films_of_same_genres(database: Database, movie_id: int, limit: int) -> list[Row]:
    """Return films by the Jaccard similarity of their genres (``score``), then nearness in years."""
    return database.query(_OF_SAME_GENRES, {"movie_id": movie_id, "limit": limit})


def list_genres(database: Database) -> list[Genre]:
    """Return every genre and how many films have it."""
    return cast("list[Genre]", database.query(_GENRES))
