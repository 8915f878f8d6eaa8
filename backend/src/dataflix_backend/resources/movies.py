"""/movies and /genres."""

from flask import Blueprint, Response

from dataflix_backend.queries.movies import create_movie, get_movie, list_genres, list_movies
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.movies import (
    GenreList,
    Movie,
    MovieList,
    MovieQuery,
    NewMovie,
    RankedList,
    SimilarQuery,
)
from dataflix_backend.services import attributes, genres
from dataflix_backend.services.ranking.ranked_movies import similar_movies
from dataflix_backend.services.source.own_tables import require_own_tables
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("movies", __name__)


@blueprint.get("/movies")
@operation(
    Operation(
        "List and search movies",
        "movies",
        {200: MovieList},
        query=MovieQuery,
        description="A genre or an attribute that no movie has is refused; the problem names the nearest.",
        scope="read",
    )
)
def index(query: MovieQuery) -> Response:
    """Answer one page of movies."""
    data, total = list_movies(services().database, query)
    if query.genre and not total:
        genres.require_known(services().database, [query.genre])
    if query.attribute and not total:
        attributes.require_known(services().database, query.attribute)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.post("/movies")
@operation(
    Operation(
        "Add a movie",
        "movies",
        {201: Movie},
        body=NewMovie,
        problems=(409,),
        description="It can be found, watched and rated at once. Recommendations have it after the next "
        "pipeline run that trains a model. A movie with the same title and year as another one is refused, "
        "unless allow_same_title is true: some movies do have both in common.",
        scope="admin",
    )
)
def create(body: NewMovie) -> Response:
    """Add a movie and answer it."""
    require_own_tables(services().source.current, "movie")
    movie = create_movie(services().database, body)
    return answer(movie, 201, {"Location": f"/movies/{movie['movie_id']}"})


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
    ranked = similar_movies(
        held.database, held.contexts, held.models.loaded, movie_id, query.attribute, limit=query.limit
    )
    count = len(ranked.movies)
    meta = model_meta(ranked.loaded, ranked.source, ranked.context, count=count, limit=query.limit)
    return answer({"data": ranked.movies, "meta": meta})


@blueprint.get("/genres")
@operation(Operation("List genres", "movies", {200: GenreList}, scope="read"))
def genre_list() -> Response:
    """Answer all genres, each with the number of its movies."""
    data = list_genres(services().database)
    return answer({"data": data, "meta": {"count": len(data)}})
