"""/feedback: what people did with a list of recommendations."""

from flask import Blueprint, Response

from dataflix_backend.queries.feedback import FeedbackRecord, insert_feedback
from dataflix_backend.schemas.feedback import (
    FeedbackBatch,
    FeedbackCount,
    NewFeedback,
    StoredFeedback,
)
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("feedback", __name__)

_DISMISSED = (
    "A movie that a user dismisses is blocked for that user: it is not recommended again until the block is "
    "deleted at /users/{user_id}/blocks."
)


@blueprint.post("/feedback")
@operation(
    Operation(
        "Send feedback on a recommended movie",
        "feedback",
        {201: StoredFeedback, 200: StoredFeedback},
        body=NewFeedback,
        problems=(404,),
        description="201 for a new event. The same event again is 200 and changes nothing, so it is safe to "
        f"repeat. It counts for the model that made the list. User, movie and position must be those of the "
        f"list. {_DISMISSED}",
        scope="write",
    )
)
def write(body: NewFeedback) -> Response:
    """Store one event and answer it."""
    record = _record(body)
    is_new = insert_feedback(services().database, [record]) == 1
    stored: StoredFeedback = {
        "recommendation_id": body.recommendation_id,
        "movie_id": body.movie_id,
        "event": body.event,
        "position": body.position,
        "user_id": body.user_id,
        "model_version": record.model_version,
        "listed_at": record.listed_at,
    }
    return answer(stored, 201 if is_new else 200)


@blueprint.post("/feedback/batch")
@operation(
    Operation(
        "Send several events at once",
        "feedback",
        {200: FeedbackCount},
        body=FeedbackBatch,
        problems=(404,),
        description=f"All events are stored, or none. 'shown' for a whole list is one request. {_DISMISSED}",
        scope="write",
    )
)
def write_batch(body: FeedbackBatch) -> Response:
    """Store several events and answer how many were new."""
    stored = insert_feedback(services().database, [_record(event) for event in body.events])
    counted: FeedbackCount = {"stored": stored, "repeated": len(body.events) - stored}
    return answer(counted)


def _record(event: NewFeedback) -> FeedbackRecord:
    origin = services().list_ids.read(
        event.recommendation_id, user_id=event.user_id, movie_id=event.movie_id, position=event.position
    )
    return FeedbackRecord(event, origin.model_version, origin.listed_at)
