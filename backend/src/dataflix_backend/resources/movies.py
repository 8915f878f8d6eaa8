"""/movies and /genres."""

from flask import Blueprint, Response

from dataflix_backend.errors import NotFoundProblem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.movies import (
    films_by_id,
    films_of_same_genres,
    find_movie,
    list_genres,
    list_movies,
)
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.movies import GenreList, Movie, MovieList, MovieQuery, RankedList, SimilarQuery
from dataflix_backend.services import services
from dataflix_backend.serving.recommending import present, ranked_movies
from dataflix_recommender import UnknownItemError

blueprint = Blueprint("movies", __name__)


@blueprint.get("/movies")
@operation(
    Operation("List films, searched and filtered", "movies", {200: MovieList}, query=MovieQuery, scope="read")
)
def index(query: MovieQuery) -> Response:
    """Answer one page of films."""
    data, total = list_movies(services().database, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.get("/movies/<movie_id>")
@operation(Operation("Show a film", "movies", {200: Movie}, scope="read"))
def show(movie_id: int) -> Response:
    """Answer one film."""
    movie = find_movie(services().database, movie_id)
    if movie is None:
        raise NotFoundProblem("movie", movie_id)
    return answer(movie)


@blueprint.get("/movies/<movie_id>/similar")
@operation(
    Operation(
        "Films like this one",
        "movies",
        {200: RankedList},
        query=SimilarQuery,
        description="Nearest in the model's space; for a film that the model does not know, "
        "those that share most of its genres.",
        scope="read",
    )
)
def similar(movie_id: int, query: SimilarQuery) -> Response:
    """Answer the films nearest to one."""
    database, served, knowledge = services().database, services().store.served, services().knowledge()
    if served is not None:
        model = served.model
        known = movie_id in knowledge.films([movie_id], model)
        # Without Postgres, a film that the model does not know may exist; what follows asks and answers 503.
        if not known and not knowledge.stale:
            raise NotFoundProblem("movie", movie_id)
        try:
            data = present(knowledge, model, lambda n: model.similar(movie_id, n), query.n)
        except UnknownItemError:
            data = []
        if data:
            return answer({"data": data, "meta": model_meta(served, knowledge, len(data), query.n)})
    elif movie_id not in films_by_id(database, [movie_id]):
        raise NotFoundProblem("movie", movie_id)
    rows = films_of_same_genres(database, movie_id, query.n)
    data = ranked_movies([(row, row["score"]) for row in rows])
    meta = model_meta(served, knowledge, len(data), query.n)
    return answer({"data": data, "meta": {**meta, "source": "genres"}})


@blueprint.get("/genres")
@operation(Operation("List genres", "movies", {200: GenreList}, scope="read"))
def genres() -> Response:
    """Answer every genre and how many films have it."""
    data = list_genres(services().database)
    return answer({"data": data, "meta": {"count": len(data)}})
