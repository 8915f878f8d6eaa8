"""/recommendations."""

from flask import Blueprint, Response

from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.recommendations import (
    RecommendationList,
    RecommendationMeta,
    RecommendationQuery,
    SessionRequest,
)
from dataflix_backend.services import services
from dataflix_backend.serving.knowledge import Knowledge
from dataflix_backend.serving.recommending import Listed, recommend_to_session, recommend_to_user
from dataflix_backend.serving.store import Served

blueprint = Blueprint("recommendations", __name__)

_FILTERS_AND_KNOBS = (
    "Filters leave films out; knobs go from 0 to 1 and choose places, at 0 they do nothing. "
    "Rules of GET /rules apply last, and an item says when one moved it. "
    "meta.eligible tells how many films could be listed; n is at most 100."
)
_STALE = "While Postgres is away the list is made from what was last known, and meta.stale says so."


@blueprint.get("/recommendations/<user_id>")
@operation(
    Operation(
        "Recommend films to a user",
        "recommendations",
        {200: RecommendationList},
        query=RecommendationQuery,
        description="Made from the user's ratings and views of this moment. Exactly n films whenever n are "
        f"left that the user has neither rated, watched nor blocked. {_FILTERS_AND_KNOBS} {_STALE}",
        scope="read",
    )
)
def show(user_id: int, query: RecommendationQuery) -> Response:
    """Answer the films that suit a user best."""
    served, knowledge = services().served(), services().knowledge()
    if served is None:
        knowledge.ground(user_id)
        return _answer(None, knowledge, Listed([], 0, []), query.n)
    return _answer(served, knowledge, recommend_to_user(knowledge, served, user_id, query), query.n)


@blueprint.post("/recommendations")
@operation(
    Operation(
        "Recommend films to an anonymous session",
        "recommendations",
        {200: RecommendationList},
        body=SessionRequest,
        description="Made from the films in the body, of which nothing is stored. Films that the model does "
        f"not know are named in meta.ignored. {_FILTERS_AND_KNOBS} {_STALE}",
        scope="read",
    )
)
def session(body: SessionRequest) -> Response:
    """Answer the films that suit what is told here."""
    served, knowledge = services().served(), services().knowledge()
    told = body.events()
    if served is None:
        return _answer(None, knowledge, Listed([], 0, [event[0] for event in told]), body.n)
    return _answer(served, knowledge, recommend_to_session(knowledge, served, told, body), body.n)


def _answer(served: Served | None, knowledge: Knowledge, listed: Listed, n: int) -> Response:
    meta: RecommendationMeta = {
        **model_meta(served, knowledge, len(listed.films), n),
        "recommendation_id": services().list_ids.new(served.version if served else None),
        "eligible": listed.eligible,
        "ignored": listed.ignored,
    }
    return answer({"data": listed.films, "meta": meta})
