"""The meta of every list that a model ranked."""

from dataflix_backend.schemas.models import ModelMeta
from dataflix_backend.serving.knowledge import Knowledge
from dataflix_backend.serving.store import Served


def model_meta(
    served: Served | None, knowledge: Knowledge, count: int, limit: int, offset: int = 0
) -> ModelMeta:
    """Return who made a list of ``count`` rows; the stand-in and no model at all have no version."""
    trained = served is not None and served.source == "model"
    return {
        "count": count,
        "limit": limit,
        "offset": offset,
        "source": served.source if served else "popularity",
        "model_version": served.version if served else None,
        "trained_at": served.model.info.trained_at if served and trained else None,
        "stale": knowledge.stale,
        "as_of": knowledge.as_of,
    }
