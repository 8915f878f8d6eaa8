"""/recommendations."""

from flask import Blueprint, Response

from dataflix_backend.errors import NotFoundProblem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.users import find_user
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.recommendations import RecommendationList, RecommendationQuery
from dataflix_backend.services import services
from dataflix_backend.serving.recommending import recommend

blueprint = Blueprint("recommendations", __name__)


@blueprint.get("/recommendations/<user_id>")
@operation(
    Operation(
        "Recommend films to a user",
        "recommendations",
        {200: RecommendationList},
        query=RecommendationQuery,
        description="Made from the user's ratings and views of this moment. "
        "Exactly n films whenever n are left that the user has neither rated nor watched.",
    )
)
def show(user_id: int, query: RecommendationQuery) -> Response:
    """Answer the films that suit a user best."""
    served = services().served()
    if served is None:
        if find_user(services().database, user_id) is None:
            raise NotFoundProblem("user", user_id)
        return answer({"data": [], "meta": model_meta(None, 0, query.n)})
    data = recommend(services().database, served, user_id, query.n)
    return answer({"data": data, "meta": model_meta(served, len(data), query.n)})
