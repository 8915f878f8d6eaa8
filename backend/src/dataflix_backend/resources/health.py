"""/healthz, /readyz and /metrics, for whoever watches over the process."""

from flask import Blueprint, Response, current_app

from dataflix_backend import metrics
from dataflix_backend.errors import UnavailableProblem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.schemas.health import Checks, Health, Readiness
from dataflix_backend.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation(
    Operation("Does the process live?", "health", {200: Health}, query=None, public=True, database=False)
)
def healthz() -> Response:
    """Answer without asking anybody else."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@operation(
    Operation(
        "Can requests be answered?",
        "health",
        {200: Readiness},
        query=None,
        public=True,
        description="503 names the failing part. Without a model it is ready: it recommends what is popular.",
    )
)
def readyz() -> Response:
    """Try every part that requests need."""
    served = services().store.served
    checks: Checks = {"postgres": "ok", "model": served.version or "none" if served else "none"}
    try:
        services().database.query("SELECT 1 AS one")
    except UnavailableProblem as error:
        checks["postgres"] = "unreachable"
        raise UnavailableProblem("Postgres cannot be reached.", extra={"checks": checks}) from error
    return answer({"status": "ready", "checks": checks})


@blueprint.get("/metrics")
@operation(
    Operation("Prometheus metrics", "health", {200: "text/plain"}, query=None, public=True, database=False)
)
def prometheus() -> Response:
    """Answer the request durations of all workers."""
    text, media_type = metrics.exposition(current_app)
    return Response(text, content_type=media_type)
