"""Movies, genres, and statistics of movies."""

import unicodedata
from collections.abc import Sequence
from typing import Any, cast

from dataflix_backend.database import Database, Prepared, Row
from dataflix_backend.exceptions import ConflictError, UnknownIdError
from dataflix_backend.queries import pages
from dataflix_backend.queries.attributes import attribute_parameters, passes
from dataflix_backend.queries.locks import one_at_a_time
from dataflix_backend.queries.text import like_prefix
from dataflix_backend.schemas.attributes import AttributeFilter
from dataflix_backend.schemas.movies import Genre, Movie, MovieQuery, MovieSummary, NewMovie

# psycopg2 sends parameters as literals, so a condition on a null parameter costs nothing.
_LIST = (
    r"""
WITH matching AS (
    SELECT movie_id, title, genres, release_year, director, duration_minutes
    FROM movies
    WHERE
        (
            %(prefix)s IS NULL
            OR lower(title) LIKE lower(%(prefix)s)
            OR title_words(title) @@ title_query(%(q)s)
            -- Chinese, Japanese and Korean are written without blanks between words.
            OR (
                search_text(%(q)s) ~ '[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]'
                AND strpos(search_text(title), search_text(%(q)s)) > 0
            )
            -- Finds titles of punctuation alone, which have no words, in wide form, too.
            OR lower(title) LIKE lower(%(plain_prefix)s)
        )
        AND (
            %(genre)s IS NULL
            OR EXISTS (SELECT FROM unnest(genres) AS g (genre) WHERE lower(g.genre) = lower(%(genre)s))
        )
        AND (%(year_from)s IS NULL OR release_year >= %(year_from)s)
        AND (%(year_to)s IS NULL OR release_year <= %(year_to)s)
        AND """  # noqa: S608 - constants
    + passes("movies")
    + """
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
        -- Much longer titles cannot be equal, and a search for "the" finds thousands.
        CASE
            WHEN char_length(title) > 2 * char_length(%(q)s) + 10 THEN false
            ELSE search_words(title, ' ') = search_words(%(q)s, ' ')
        END DESC,
        lower(title) LIKE lower(%(prefix)s) DESC,
        title,
        release_year,
        movie_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
"""
)

_SHOW = """
SELECT
    movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id,
    coalesce(
        (SELECT i.attributes FROM source.items AS i WHERE i.movie_id = %(movie_id)s), '{}'
    ) AS attributes,
    r.ratings_count, r.mean_rating, created_at, updated_at
FROM movies
CROSS JOIN (
    SELECT count(*) AS ratings_count, avg(rating) AS mean_rating
    FROM ratings
    WHERE movie_id = %(movie_id)s
) AS r
WHERE movie_id = %(movie_id)s
"""

_CREATE = one_at_a_time(
    "movies.title",
    "lower(%(title)s)",
    """
WITH same AS (
    SELECT movie_id
    FROM movies
    WHERE
        lower(title) = lower(%(title)s)
        AND release_year IS NOT DISTINCT FROM %(release_year)s
        AND NOT %(allow_same_title)s
    ORDER BY movie_id
    LIMIT 1
),
added AS (
    INSERT INTO movies (
        title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id
    )
    SELECT
        %(title)s::text, %(genres)s::text [], %(release_year)s::smallint, %(director)s::text,
        %(duration_minutes)s::smallint, %(description)s::text, %(imdb_id)s::text, %(tmdb_id)s::bigint
    WHERE NOT EXISTS (SELECT FROM same)
    RETURNING
        movie_id, title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id,
        '{}'::jsonb AS attributes, 0 AS ratings_count, NULL::float8 AS mean_rating, created_at, updated_at
)
SELECT
    same.movie_id AS same_id,
    added.*
FROM (SELECT) AS one
LEFT JOIN same ON true
LEFT JOIN added ON true
""",
)

_BY_ID = Prepared(
    "movies_by_id",
    "bigint []",
    """
SELECT movie_id, title, genres, release_year
FROM movies
WHERE movie_id = ANY($1)
""",
)

_OF_SAME_GENRES = (
    """
SELECT
    m.movie_id, m.title, m.genres, m.release_year,
    shared.n::float8 / (cardinality(m.genres) + cardinality(t.genres) - shared.n) AS score
FROM movies AS t
INNER JOIN movies AS m ON t.genres && m.genres AND t.movie_id <> m.movie_id
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM unnest(m.genres) AS g (genre) WHERE g.genre = ANY(t.genres)
) AS shared
WHERE
    t.movie_id = %(movie_id)s
    AND """  # noqa: S608 - constants
    + passes("m")
    + """
ORDER BY score DESC, abs(m.release_year - t.release_year) NULLS LAST, m.movie_id
LIMIT %(limit)s
"""
)

_GENRES = """
SELECT g.genre, count(*) AS movies_count
FROM movies
CROSS JOIN unnest(genres) AS g (genre)
GROUP BY g.genre
ORDER BY g.genre
"""

# A rating loses half its weight in 30 days. At most 100 half-lives count: then 0.5 ^ x would underflow.
# A rating that speaks against the movie is not popularity: as in the warehouse, less than 2.5 stars without a
# thumb up, or a thumb down, count for nothing.
# Where nobody rates, views count instead; the views of a source's people are what they did.
_STATISTICS = """
WITH events AS (
    SELECT movie_id, rating, liked, rated_at AS happened_at
    FROM ratings
    UNION ALL
    SELECT movie_id, NULL, NULL, watched_at
    FROM watched_movies
    WHERE NOT EXISTS (SELECT FROM ratings)
)
SELECT
    m.movie_id, m.title, m.genres, m.release_year, m.duration_minutes,
    coalesce(r.ratings_count, 0) AS ratings_count,
    coalesce(r.events_count, 0) AS events_count,
    coalesce(r.ratings_sum, 0) AS ratings_sum,
    coalesce(r.trending_score, 0) AS trending_score
FROM movies AS m
LEFT JOIN (
    SELECT
        movie_id,
        count(rating) AS ratings_count,
        count(*) AS events_count,
        sum(rating::float8) AS ratings_sum,
        coalesce(sum(
            0.5 ^ (
                extract(
                    EPOCH FROM newest.happened_at - greatest(
                        newest.happened_at - INTERVAL '3000 days',
                        least(events.happened_at, newest.happened_at)
                    )
                )::float8 / 2592000
            )
        ) FILTER (WHERE coalesce(liked, rating >= 2.5, true)), 0) AS trending_score
    FROM events
    CROSS JOIN (
        -- A time in the future, or an infinite one, must not make all others count for nothing.
        SELECT coalesce(max(happened_at), now()) AS happened_at
        FROM events
        WHERE happened_at BETWEEN '1900-01-01' AND now() + INTERVAL '1 day'
    ) AS newest
    GROUP BY movie_id
) AS r ON m.movie_id = r.movie_id
ORDER BY m.movie_id
"""


def list_movies(database: Database, query: MovieQuery) -> tuple[list[MovieSummary], int]:
    """Return one page of movies and the number of all that match."""
    parameters: dict[str, Any] = query.model_dump()
    parameters |= attribute_parameters(query.attribute)
    parameters["q"] = query.q or None
    parameters["prefix"] = like_prefix(query.q) if query.q else None
    plain = _plain(query.q or "")
    parameters["plain_prefix"] = like_prefix(plain) if plain else None
    page, total = pages.split(database.query(_LIST, parameters), "movie_id")
    return cast("list[MovieSummary]", page), total


def _plain(text: str) -> str:
    """Return a text without invisible characters, in compatibility form."""
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", visible)


def get_movie(database: Database, movie_id: int) -> Movie:
    """Return a movie.

    Raises:
        UnknownIdError: the movie does not exist.
    """
    rows = database.query(_SHOW, {"movie_id": movie_id})
    if not rows:
        raise UnknownIdError("movie", movie_id)
    return cast("Movie", rows[0])


def create_movie(database: Database, movie: NewMovie) -> Movie:
    """Insert a movie.

    Raises:
        ConflictError: there is one with this title and year, and the new one does not allow that.
    """
    row = database.query(_CREATE, movie.model_dump())[0]
    if (same := row.pop("same_id")) is not None:
        message = f"and release_year are those of the movie {same}; allow_same_title adds it all the same"
        raise ConflictError(f"title {message}.", errors=[{"field": "title", "message": message}])
    return cast("Movie", row)


def find_movies(database: Database, movie_ids: Sequence[int]) -> dict[int, Row]:
    """Return movie_id, title, genres and release_year of the movies that exist, by movie_id."""
    rows = database.query_prepared(_BY_ID, list(movie_ids))
    return {row["movie_id"]: row for row in rows}


def find_movies_of_same_genres(
    database: Database, movie_id: int, attributes: Sequence[AttributeFilter], limit: int
) -> list[Row]:
    """Return movies ordered by the Jaccard similarity of their genres (``score``), then by release year.

    They pass every filter of ``attributes``.
    """
    parameters = {"movie_id": movie_id, "limit": limit, **attribute_parameters(attributes)}
    return database.query(_OF_SAME_GENRES, parameters)


def list_genres(database: Database) -> list[Genre]:
    """Return all genres, each with the number of its movies."""
    return cast("list[Genre]", database.query(_GENRES))


def load_movie_statistics(database: Database) -> list[Row]:
    """Return all movies by movie_id, with count and sum of ratings, count of events, time-decayed score."""
    return database.query(_STATISTICS)
