"""Charts and similar movies: rankings of movies that exist in Postgres now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataflix_backend.database import Database, Row
from dataflix_backend.exceptions import UnknownIdError
from dataflix_backend.queries.movies import find_movies, find_movies_of_same_genres
from dataflix_backend.schemas.attributes import AttributeFilter
from dataflix_backend.schemas.models import Source
from dataflix_backend.schemas.movies import RankedMovie
from dataflix_backend.services.model.store import LoadedModel
from dataflix_backend.services.ranking.context_reader import ContextReader, RequestContext
from dataflix_recommender import Model, UnknownItemError

# When ranked movies no longer exist in Postgres, each further attempt asks for this many times as many.
REACH_GROWTH = 4

# Returns the best ``n`` eligible movies of a model as (movie_id, score); None makes all eligible.
Ranking = Callable[[Model, int, NDArray[np.bool_] | None], list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class RankedMovies:
    """One page of a ranking.

    Attributes:
        movies: the rows of the page.
        source: what the ranking is made from.
        loaded: the model, None while there is none.
        context: the state of the data, which says whether the page is stale.
    """

    movies: list[RankedMovie]
    source: Source
    loaded: LoadedModel | None
    context: RequestContext


def chart(
    reader: ContextReader,
    loaded: LoadedModel | None,
    ranking: Ranking,
    attributes: Sequence[AttributeFilter],
    *,
    limit: int,
    offset: int,
) -> RankedMovies:
    """Return one page of a ranking of all movies that pass, empty while there is no model.

    Raises:
        UnknownAttributeError: no movie has an attribute, or its value.
    """
    context = RequestContext()
    passing = reader.having(attributes, loaded.model if loaded else None)
    if loaded is None:
        return RankedMovies([], "popularity", None, context)
    movies, context = _existing(reader, context, loaded.model, ranking, passing, limit=limit, offset=offset)
    return RankedMovies(movies, loaded.source, loaded, context)


def similar_movies(
    database: Database,
    reader: ContextReader,
    loaded: LoadedModel | None,
    movie_id: int,
    attributes: Sequence[AttributeFilter],
    *,
    limit: int,
) -> RankedMovies:
    """Return the movies nearest to one in the model, or by genres for a movie that the model does not know.

    Raises:
        UnknownAttributeError: no movie has an attribute, or its value.
        UnknownIdError: the movie does not exist.
        UnavailableError: Postgres is away and the model does not know the movie.
    """
    context = RequestContext()
    passing = reader.having(attributes, loaded.model if loaded else None)
    if loaded is not None:
        found, context = reader.find_movies(context, [movie_id], loaded.model)
        # Without Postgres, a movie that the model does not know may exist; the query below then fails.
        if movie_id not in found and not context.is_stale:
            raise UnknownIdError("movie", movie_id)
        try:
            movies, context = _existing(
                reader,
                context,
                loaded.model,
                lambda model, n, eligible: model.similar(movie_id, n, eligible),
                passing,
                limit=limit,
            )
        except UnknownItemError:
            movies = []
        if movies:
            return RankedMovies(movies, loaded.source, loaded, context)
    elif movie_id not in find_movies(database, [movie_id]):
        raise UnknownIdError("movie", movie_id)
    rows = find_movies_of_same_genres(database, movie_id, attributes, limit)
    by_genres = _ranked([(row, row["score"]) for row in rows])
    return RankedMovies(by_genres, "genres", loaded, context)


def _existing(
    reader: ContextReader,
    context: RequestContext,
    model: Model,
    ranking: Ranking,
    passing: NDArray[np.bool_] | None,
    *,
    limit: int,
    offset: int = 0,
) -> tuple[list[RankedMovie], RequestContext]:
    """Return one page of a ranking without movies that no longer exist, and the context to continue with."""
    reach = offset + limit
    while True:
        ranked = ranking(model, reach, passing)
        movies, context = reader.find_movies(context, [movie_id for movie_id, _ in ranked], model)
        found = [(movies[movie_id], score) for movie_id, score in ranked if movie_id in movies]
        if len(found) >= offset + limit or len(ranked) < reach:
            return _ranked(found[offset : offset + limit], offset), context
        reach *= REACH_GROWTH


def _ranked(found: Sequence[tuple[Row, float]], offset: int = 0) -> list[RankedMovie]:
    return [
        {
            "movie_id": movie["movie_id"],
            "title": movie["title"],
            "genres": movie["genres"],
            "release_year": movie["release_year"],
            "score": score,
            "rank": rank,
        }
        for rank, (movie, score) in enumerate(found, start=offset + 1)
    ]
