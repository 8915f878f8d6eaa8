"""/recommendations."""

from flask import Blueprint, Response

from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.recommendations import (
    RecommendationList,
    RecommendationMeta,
    RecommendationQuery,
    SessionRequest,
)
from dataflix_backend.services import genres
from dataflix_backend.services.ranking.recommendations import (
    RecommendedMovies,
    recommend_to_session,
    recommend_to_user,
)
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("recommendations", __name__)

_FILTERS_AND_OPTIONS = (
    "Filters leave movies out; a genre or an attribute that no movie has is refused, and the problem names "
    "the nearest. "
    "diversity, freshness and popularity go from 0 to 1 and change the order; at 0 "
    "they do nothing. Rules of GET /rules apply last, and a row names the rule that moved it. "
    "meta.eligible counts the movies that could be listed; limit is at most 100."
)
_STALE = "While Postgres is away, the list is made from the last known data, and meta.stale is true."


@blueprint.get("/recommendations/<user_id>")
@operation(
    Operation(
        "Recommend movies to a user",
        "recommendations",
        {200: RecommendationList},
        query=RecommendationQuery,
        description="Made from the user's current ratings and views. The list has exactly `limit` movies "
        "whenever so many are left that the user has neither rated nor watched and that are not blocked. "
        f"{_FILTERS_AND_OPTIONS} {_STALE}",
        scope="read",
    )
)
def show(user_id: int, query: RecommendationQuery) -> Response:
    """Answer the best movies for a user."""
    loaded = services().loaded_model()
    genres.require_known(services().database, query.genre, loaded.model if loaded else None)
    return _answer(recommend_to_user(services().contexts, loaded, user_id, query), user_id, query.limit)


@blueprint.post("/recommendations")
@operation(
    Operation(
        "Recommend movies to an anonymous session",
        "recommendations",
        {200: RecommendationList},
        body=SessionRequest,
        description="Made from the movies in the body; nothing of it is stored. meta.ignored holds the ids "
        f"of movies that the model does not know. {_FILTERS_AND_OPTIONS} {_STALE}",
        scope="read",
    )
)
def session(body: SessionRequest) -> Response:
    """Answer the best movies for the events in the body."""
    loaded = services().loaded_model()
    genres.require_known(services().database, body.genre, loaded.model if loaded else None)
    return _answer(recommend_to_session(services().contexts, loaded, body.events(), body), None, body.limit)


def _answer(listed: RecommendedMovies, user_id: int | None, limit: int) -> Response:
    loaded, count = listed.loaded, len(listed.movies)
    source = loaded.source if loaded else "popularity"
    movie_ids = [movie["movie_id"] for movie in listed.movies]
    list_id = services().list_ids.new(loaded.version if loaded else None, user_id, movie_ids)
    meta: RecommendationMeta = {
        **model_meta(loaded, source, listed.context, count=count, limit=limit),
        "recommendation_id": list_id,
        "eligible": listed.eligible,
        "ignored": listed.ignored,
    }
    return answer({"data": listed.movies, "meta": meta})
