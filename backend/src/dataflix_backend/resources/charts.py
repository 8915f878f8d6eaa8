"""/trending and /popular."""

from collections.abc import Callable

from flask import Blueprint, Response

from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.common import Page
from dataflix_backend.schemas.movies import RankedList
from dataflix_backend.services import services
from dataflix_backend.serving.recommending import Ranked, present
from dataflix_recommender import Model

blueprint = Blueprint("charts", __name__)


@blueprint.get("/trending")
@operation(Operation("What people turn to lately", "charts", {200: RankedList}, query=Page, scope="read"))
def trending(query: Page) -> Response:
    """Answer the films with the highest time-decayed score."""
    return _chart(query, lambda model, n: model.trending(n))


@blueprint.get("/popular")
@operation(Operation("What people rate best", "charts", {200: RankedList}, query=Page, scope="read"))
def popular(query: Page) -> Response:
    """Answer the films with the highest Bayesian mean rating."""
    return _chart(query, lambda model, n: model.popular(n))


def _chart(query: Page, ranking: Callable[[Model, int], Ranked]) -> Response:
    served, knowledge = services().served(), services().knowledge()
    if served is None:
        return answer({"data": [], "meta": model_meta(None, knowledge, 0, query.limit, query.offset)})
    model = served.model
    data = present(knowledge, model, lambda n: ranking(model, n), query.limit, query.offset)
    return answer({"data": data, "meta": model_meta(served, knowledge, len(data), query.limit, query.offset)})
