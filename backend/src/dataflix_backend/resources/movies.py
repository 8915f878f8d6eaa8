"""/movies and /genres."""

from flask import Blueprint, Response

from dataflix_backend.queries.movies import get_movie, list_genres, list_movies
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.movies import GenreList, Movie, MovieList, MovieQuery, RankedList, SimilarQuery
from dataflix_backend.services.ranking.ranked_movies import similar_movies
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("movies", __name__)


@blueprint.get("/movies")
@operation(Operation("List and search movies", "movies", {200: MovieList}, query=MovieQuery, scope="read"))
def index(query: MovieQuery) -> Response:
    """Answer one page of movies."""
    data, total = list_movies(services().database, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.get("/movies/<movie_id>")
@operation(Operation("Show a movie", "movies", {200: Movie}, scope="read"))
def show(movie_id: int) -> Response:
    """Answer one movie."""
    return answer(get_movie(services().database, movie_id))


@blueprint.get("/movies/<movie_id>/similar")
@operation(
    Operation(
        "Similar movies",
        "movies",
        {200: RankedList},
        query=SimilarQuery,
        description="The nearest movies in the model. For a movie that the model does not know, the movies "
        "that share most of its genres.",
        scope="read",
    )
)
def similar(movie_id: int, query: SimilarQuery) -> Response:
    """Answer the movies nearest to one."""
    held = services()
    ranked = similar_movies(held.database, held.contexts, held.models.loaded, movie_id, query.limit)
    count = len(ranked.movies)
    meta = model_meta(ranked.loaded, ranked.source, ranked.context, count=count, limit=query.limit)
    return answer({"data": ranked.movies, "meta": meta})


@blueprint.get("/genres")
@operation(Operation("List genres", "movies", {200: GenreList}, scope="read"))
def genres() -> Response:
    """Answer all genres, each with the number of its movies."""
    data = list_genres(services().database)
    return answer({"data": data, "meta": {"count": len(data)}})
