"""/feedback: what people did with a list."""

from flask import Blueprint, Response

from dataflix_backend.operation import Operation, answer, operation
from dataflix_backend.queries.feedback import Told, store
from dataflix_backend.schemas.feedback import (
    FeedbackBatch,
    FeedbackCount,
    NewFeedback,
    StoredFeedback,
)
from dataflix_backend.services import services

blueprint = Blueprint("feedback", __name__)

_DISMISSED = (
    "A film that a user dismissed is blocked for that user: it is not recommended again until the block is "
    "taken away at /users/{user_id}/blocks."
)


@blueprint.post("/feedback")
@operation(
    Operation(
        "Tell what was done with a recommended film",
        "feedback",
        {201: StoredFeedback, 200: StoredFeedback},
        body=NewFeedback,
        problems=(404,),
        description="201 when it is new; told again it is 200 and nothing changes, so it may be sent again. "
        f"It is counted for the model that the list's id names. {_DISMISSED}",
        scope="write",
    )
)
def write(body: NewFeedback) -> Response:
    """Store one event and answer it."""
    told = _told(body)
    is_new = store(services().database, [told]) == 1
    stored: StoredFeedback = {
        "recommendation_id": body.recommendation_id,
        "movie_id": body.movie_id,
        "event": body.event,
        "position": body.position,
        "user_id": body.user_id,
        "model_version": told.origin.model_version,
        "listed_at": told.origin.listed_at,
    }
    return answer(stored, 201 if is_new else 200)


@blueprint.post("/feedback/batch")
@operation(
    Operation(
        "Tell several events at once",
        "feedback",
        {200: FeedbackCount},
        body=FeedbackBatch,
        problems=(404,),
        description=f"Stored together or not at all; a whole list's 'shown' is one request. {_DISMISSED}",
        scope="write",
    )
)
def write_batch(body: FeedbackBatch) -> Response:
    """Store several events and answer how many were new."""
    stored = store(services().database, [_told(event) for event in body.events])
    counted: FeedbackCount = {"stored": stored, "repeated": len(body.events) - stored}
    return answer(counted)


def _told(feedback: NewFeedback) -> Told:
    return Told(feedback, services().list_ids.read(feedback.recommendation_id))
