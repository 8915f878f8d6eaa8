"""/watched."""

from flask import Blueprint, Response

from dataflix_backend.errors import NotFoundProblem
from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.watched import list_watched, write_watch
from dataflix_backend.schemas.common import Page, page_meta
from dataflix_backend.schemas.events import NewWatch, StoredWatch, WatchedList
from dataflix_backend.services import services

blueprint = Blueprint("watched", __name__)


@blueprint.post("/watched")
@operation(
    Operation(
        "Mark a film as watched",
        "watched",
        {201: StoredWatch, 200: StoredWatch},
        body=NewWatch,
        problems=(404,),
        description="201 when it is new, 200 when it was marked before; then its time changes.",
        scope="write",
    )
)
def create(body: NewWatch) -> Response:
    """Store a view and answer it."""
    watch, is_new = write_watch(services().database, body)
    return answer(watch, 201 if is_new else 200)


@blueprint.get("/watched/<user_id>")
@operation(Operation("What a user has watched", "watched", {200: WatchedList}, query=Page, scope="read"))
def index(user_id: int, query: Page) -> Response:
    """Answer one page of what a user has watched."""
    found = list_watched(services().database, user_id, query)
    if found is None:
        raise NotFoundProblem("user", user_id)
    data, total = found
    return answer({"data": data, "meta": page_meta(query, len(data), total)})
