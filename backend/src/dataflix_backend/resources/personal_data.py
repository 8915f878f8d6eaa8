"""/users/ID/export, DELETE /users/ID and /erasures: a person's own data."""

from flask import Blueprint, Response

from dataflix_backend.queries.personal_data import erase_user, export_user, get_erasure
from dataflix_backend.schemas.personal_data import Erasure, PersonalExport
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

# The blueprint's name is part of the document's operation ids.
blueprint = Blueprint("personal", __name__)


@blueprint.get("/users/<user_id>/export")
@operation(Operation("Export all data of a user", "personal data", {200: PersonalExport}, scope="read"))
def export(user_id: int) -> Response:
    """Answer a person's own data."""
    return answer(export_user(services().database, user_id))


@blueprint.delete("/users/<user_id>")
@operation(
    Operation(
        "Erase a user",
        "personal data",
        {202: Erasure},
        description="Deletes the user with all ratings, views, blocks, feedback and keys at once; no "
        "recommendation is made from them any more. The next pipeline run removes the person from the "
        "warehouse; then GET /erasures/{erasure_id} says so.",
        # For the user's own key or an admin key. The scope admin would keep the user's id in the audit log.
        scope="write",
    )
)
def erase(user_id: int) -> Response:
    """Delete a user with all data, and answer the record of the erasure."""
    erasure = erase_user(services().database, user_id)
    services().stale_contexts.erase(user_id)
    services().source_ids.forget(user_id)
    return answer(erasure, 202, {"Location": f"/erasures/{erasure['erasure_id']}"})


@blueprint.get("/erasures/<erasure_id>")
@operation(Operation("Show an erasure", "personal data", {200: Erasure}, scope="admin"))
def show(erasure_id: int) -> Response:
    """Answer what was removed, and when."""
    return answer(get_erasure(services().database, erasure_id))
