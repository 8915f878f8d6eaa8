"""/source."""

from flask import Blueprint, Response

from dataflix_backend.schemas.source import JsonIdType, SourceShown
from dataflix_backend.source import IdForm
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("source", __name__)


@blueprint.get("/source")
@operation(
    Operation(
        "Show the source",
        "source",
        {200: SourceShown},
        description="What people and items are called, and what ids they have. Where the tables are a copy "
        "of another application's database, every route takes and answers that application's ids.",
        database=False,
        scope="read",
    )
)
def show() -> Response:
    """Answer what the tables are a copy of."""
    source = services().source.current
    words = source.words
    shown: SourceShown = {
        "name": source.identity.name if source.identity else None,
        "words": {"item": words.item, "items": words.items, "person": words.person, "people": words.people},
        "person_ids": _json_type(source.person_ids),
        "item_ids": _json_type(source.item_ids),
        "kinds": [{"kind": kind.kind, "weight": kind.weight} for kind in source.kinds],
        "copied_at": source.copied_at,
    }
    return answer(shown)


def _json_type(form: IdForm) -> JsonIdType:
    return "integer" if form.is_integer else "string"
