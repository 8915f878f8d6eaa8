"""/healthz, its alias /health, /readyz and /metrics, for monitoring."""

from flask import Blueprint, Response, current_app

from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.schemas.health import Checks, Health, Readiness
from dataflix_backend.web import metrics
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation(Operation("Liveness", "health", {200: Health}, query=None, public=True, database=False))
def healthz() -> Response:
    """Answer without any other service."""
    return answer({"status": "ok"})


@blueprint.get("/health")
@operation(Operation("Alias of /healthz", "health", {200: Health}, query=None, public=True, database=False))
def health() -> Response:
    """Answer as /healthz does."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@operation(
    Operation(
        "Readiness",
        "health",
        {200: Readiness},
        query=None,
        public=True,
        description="503 names the part that fails. The API is ready without a model: it recommends popular "
        "movies. ``champion`` says why another model is served than the registry names.",
    )
)
def readyz() -> Response:
    """Check every part that requests need."""
    models = services().models
    loaded = models.loaded
    checks: Checks = {"postgres": "ok", "model": loaded.version or "none" if loaded else "none"}
    if problem := models.champion_problem():
        checks["champion"] = problem
    try:
        services().database.query("SELECT 1 AS one")
    except UnavailableError as error:
        checks["postgres"] = "unreachable"
        raise UnavailableError("Postgres cannot be reached.", members={"checks": checks}) from error
    return answer({"status": "ready", "checks": checks})


@blueprint.get("/metrics")
@operation(
    Operation("Prometheus metrics", "health", {200: "text/plain"}, query=None, public=True, database=False)
)
def prometheus() -> Response:
    """Answer the request durations of all workers."""
    text, media_type = metrics.exposition(current_app)
    return Response(text, content_type=media_type)
