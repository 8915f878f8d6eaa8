"""/trending and /popular."""

from flask import Blueprint, Response

from dataflix_backend.resources.meta import model_meta
from dataflix_backend.schemas.movies import ChartQuery, RankedList
from dataflix_backend.services.ranking.ranked_movies import Ranking, chart
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation
from dataflix_recommender import Model

blueprint = Blueprint("charts", __name__)


@blueprint.get("/trending")
@operation(Operation("Trending movies", "charts", {200: RankedList}, query=ChartQuery, scope="read"))
def trending(query: ChartQuery) -> Response:
    """Answer the movies with the highest time-decayed score."""
    return _chart(query, Model.trending)


@blueprint.get("/popular")
@operation(Operation("Popular movies", "charts", {200: RankedList}, query=ChartQuery, scope="read"))
def popular(query: ChartQuery) -> Response:
    """Answer the movies with the highest Bayesian mean rating."""
    return _chart(query, Model.popular)


def _chart(query: ChartQuery, ranking: Ranking) -> Response:
    loaded = services().loaded_model()
    ranked = chart(
        services().contexts, loaded, ranking, query.attribute, limit=query.limit, offset=query.offset
    )
    meta = model_meta(
        ranked.loaded,
        ranked.source,
        ranked.context,
        count=len(ranked.movies),
        limit=query.limit,
        offset=query.offset,
    )
    return answer({"data": ranked.movies, "meta": meta})
