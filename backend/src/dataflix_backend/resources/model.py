"""/model."""

from datetime import datetime

from flask import Blueprint, Response

from dataflix_backend.exceptions import NotFoundError
from dataflix_backend.schemas.models import ServedModel
from dataflix_backend.services.model.files import hold_of, registry_reached_at
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("model", __name__)


@blueprint.get("/model")
@operation(
    Operation(
        "Show the served model",
        "model",
        {200: ServedModel},
        problems=(404,),
        description="404 until a model has been trained.",
        database=False,
        scope="read",
    )
)
def show() -> Response:
    """Answer the model's version, training and age."""
    models = services().models
    loaded = models.loaded
    if loaded is None or loaded.version is None:
        problem = models.champion_problem()
        detail = (
            f"No model is loaded yet{f' ({problem})' if problem else ''}: popularity is recommended. "
            "./run.sh pipeline trains and publishes one."
        )
        raise NotFoundError(detail, kind="no-model")
    info = loaded.model.info
    hold = hold_of(models.models_dir, loaded.version)
    described: ServedModel = {
        "version": loaded.version,
        "trained_at": info.trained_at,
        "loaded_at": loaded.loaded_at,
        "age_seconds": loaded.age_s(),
        "registry_reached_at": registry_reached_at(models.models_dir),
        "champion_problem": models.champion_problem(),
        "held": hold is not None,
        "held_since": datetime.fromisoformat(hold.since) if hold and hold.since else None,
        "held_reason": hold.reason if hold else None,
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
