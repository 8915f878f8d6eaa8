"""/ratings."""

from flask import Blueprint, Response

from dataflix_backend.queries.ratings import delete_rating, list_ratings, write_rating
from dataflix_backend.schemas.common import Page, page_meta
from dataflix_backend.schemas.events import NewRating, RatingList, StoredRating
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import NO_BODY, Operation, answer, operation

blueprint = Blueprint("ratings", __name__)


@blueprint.post("/ratings")
@operation(
    Operation(
        "Create or change a rating",
        "ratings",
        {201: StoredRating, 200: StoredRating},
        body=NewRating,
        problems=(404,),
        description="201 for a new rating, 200 for a changed one. It counts in the next recommendations.",
        scope="write",
    )
)
def write(body: NewRating) -> Response:
    """Store a rating and answer it."""
    rating, is_new = write_rating(services().database, body)
    return answer(rating, 201 if is_new else 200)


@blueprint.delete("/ratings/<user_id>/<movie_id>")
@operation(Operation("Delete a rating", "ratings", {204: NO_BODY}, scope="write"))
def delete(user_id: int, movie_id: int) -> Response:
    """Delete a rating."""
    delete_rating(services().database, user_id, movie_id)
    return Response(status=204)


@blueprint.get("/ratings/<user_id>")
@operation(Operation("List a user's ratings", "ratings", {200: RatingList}, query=Page, scope="read"))
def index(user_id: int, query: Page) -> Response:
    """Answer one page of a user's ratings."""
    data, total = list_ratings(services().database, user_id, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})
