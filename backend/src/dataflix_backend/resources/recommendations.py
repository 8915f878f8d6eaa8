"""/recommendations."""

from flask import Blueprint, Response

from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.history import ground
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.recommendations import (
    RecommendationList,
    RecommendationMeta,
    RecommendationQuery,
    SessionRequest,
)
from dataflix_backend.services import services
from dataflix_backend.serving.recommending import Listed, recommend_to_session, recommend_to_user
from dataflix_backend.serving.store import Served

blueprint = Blueprint("recommendations", __name__)

_FILTERS_AND_KNOBS = (
    "Filters leave films out; knobs go from 0 to 1 and choose places, at 0 they do nothing. "
    "Rules of GET /rules apply last, and an item says when one moved it. "
    "meta.eligible tells how many films could be listed; n is at most 100."
)


@blueprint.get("/recommendations/<user_id>")
@operation(
    Operation(
        "Recommend films to a user",
        "recommendations",
        {200: RecommendationList},
        query=RecommendationQuery,
        description="Made from the user's ratings and views of this moment. Exactly n films whenever n are "
        f"left that the user has neither rated, watched nor blocked. {_FILTERS_AND_KNOBS}",
        scope="read",
    )
)
def show(user_id: int, query: RecommendationQuery) -> Response:
    """Answer the films that suit a user best."""
    served = services().served()
    if served is None:
        ground(services().database, user_id)
        return _answer(None, Listed([], 0, []), query.n)
    return _answer(served, recommend_to_user(services().database, served, user_id, query), query.n)


@blueprint.post("/recommendations")
@operation(
    Operation(
        "Recommend films to an anonymous session",
        "recommendations",
        {200: RecommendationList},
        body=SessionRequest,
        description="Made from the films in the body, of which nothing is stored. Films that the model does "
        f"not know are named in meta.ignored. {_FILTERS_AND_KNOBS}",
        scope="read",
    )
)
def session(body: SessionRequest) -> Response:
    """Answer the films that suit what is told here."""
    served = services().served()
    told = body.events()
    if served is None:
        return _answer(None, Listed([], 0, [event[0] for event in told]), body.n)
    return _answer(served, recommend_to_session(services().database, served, told, body), body.n)


def _answer(served: Served | None, listed: Listed, n: int) -> Response:
    meta: RecommendationMeta = {
        **model_meta(served, len(listed.films), n),
        "recommendation_id": services().list_ids.new(served.version if served else None),
        "eligible": listed.eligible,
        "ignored": listed.ignored,
    }
    return answer({"data": listed.films, "meta": meta})
