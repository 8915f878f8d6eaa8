"""/model."""

from flask import Blueprint, Response

from dataflix_backend.errors import Problem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.schemas.models import ServedModel
from dataflix_backend.services import services
from dataflix_backend.serving.files import registry_reached_at

blueprint = Blueprint("model", __name__)


@blueprint.get("/model")
@operation(
    Operation(
        "Tell about the served model",
        "model",
        {200: ServedModel},
        problems=(404,),
        description="404 while no model has been trained.",
        database=False,
        scope="read",
    )
)
def show() -> Response:
    """Answer version, origin and age of the model."""
    store = services().store
    served = store.served
    if served is None or served.version is None:
        detail = (
            "No model is loaded yet: popularity is recommended. ./run.sh pipeline trains and publishes one."
        )
        raise Problem(404, "no-model", detail)
    info = served.model.info
    described: ServedModel = {
        "version": served.version,
        "trained_at": info.trained_at,
        "loaded_at": served.loaded_at,
        "age_seconds": served.age_s(),
        "registry_reached_at": registry_reached_at(store.models_dir),
        "metrics": info.metrics,
        "factors": info.factors,
        "regularization": info.regularization,
        "alpha": info.alpha,
        "iterations": info.iterations,
        "seed": info.seed,
        "users_count": info.n_users,
        "movies_count": info.n_items,
        "interactions_count": info.n_interactions,
        "dataset": info.dataset,
        "dbt_manifest_sha256": info.dbt_manifest_sha256,
    }
    return answer(described)
