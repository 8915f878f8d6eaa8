"""/users/ID/export, DELETE /users/ID and /erasures: what belongs to a person."""

from flask import Blueprint, Response

from dataflix_backend.errors import NotFoundProblem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.personal import erase_user, export_user, find_erasure
from dataflix_backend.schemas.personal import Erasure, PersonalExport
from dataflix_backend.services import services

blueprint = Blueprint("personal", __name__)


@blueprint.get("/users/<user_id>/export")
@operation(
    Operation(
        "Everything that is stored of a user",
        "personal data",
        {200: PersonalExport},
        scope="read",
    )
)
def export(user_id: int) -> Response:
    """Answer a person's own data."""
    found = export_user(services().database, user_id)
    if found is None:
        raise NotFoundProblem("user", user_id)
    return answer(found)


@blueprint.delete("/users/<user_id>")
@operation(
    Operation(
        "Erase a user",
        "personal data",
        {202: Erasure},
        description="Deletes the user, ratings, views, blocks, feedback and keys at once; no recommendation "
        "is made from them any more. The end of the next pipeline run removes the person from the warehouse, "
        "and GET /erasures/{erasure_id} then says so.",
        # Bound to the user or an administrator. Not of scope admin, whose record would keep the id.
        scope="write",
    )
)
def erase(user_id: int) -> Response:
    """Delete a user with everything, and answer the record of it."""
    erasure = erase_user(services().database, user_id)
    if erasure is None:
        raise NotFoundProblem("user", user_id)
    # At once here; the other workers forget within FORGET_INTERVAL_S.
    services().last_known.forget(user_id)
    return answer(erasure, 202, {"Location": f"/erasures/{erasure['erasure_id']}"})


@blueprint.get("/erasures/<erasure_id>")
@operation(Operation("Show an erasure", "personal data", {200: Erasure}, scope="admin"))
def show(erasure_id: int) -> Response:
    """Answer what was removed when."""
    erasure = find_erasure(services().database, erasure_id)
    if erasure is None:
        raise NotFoundProblem("erasure", erasure_id)
    return answer(erasure)
