"""/watched."""

from flask import Blueprint, Response

from dataflix_backend.queries.watched import delete_watch, list_watched, write_watch
from dataflix_backend.schemas.common import Page, page_meta
from dataflix_backend.schemas.events import NewWatch, StoredWatch, WatchedList
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import NO_BODY, Operation, answer, operation

blueprint = Blueprint("watched", __name__)


@blueprint.post("/watched")
@operation(
    Operation(
        "Mark a movie as watched",
        "watched",
        {201: StoredWatch, 200: StoredWatch},
        body=NewWatch,
        problems=(404,),
        description="201 for a new view, 200 if the movie was marked before; then its time changes.",
        scope="write",
    )
)
def create(body: NewWatch) -> Response:
    """Store a view and answer it."""
    watch, is_new = write_watch(services().database, body)
    return answer(watch, 201 if is_new else 200)


@blueprint.delete("/watched/<user_id>/<movie_id>")
@operation(
    Operation(
        "Take back that a movie was watched",
        "watched",
        {204: NO_BODY},
        description="A rating of the movie stays.",
        scope="write",
    )
)
def delete(user_id: int, movie_id: int) -> Response:
    """Delete a view."""
    delete_watch(services().database, user_id, movie_id)
    return Response(status=204)


@blueprint.get("/watched/<user_id>")
@operation(Operation("List what a user has watched", "watched", {200: WatchedList}, query=Page, scope="read"))
def index(user_id: int, query: Page) -> Response:
    """Answer one page of what a user has watched."""
    data, total = list_watched(services().database, user_id, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})
