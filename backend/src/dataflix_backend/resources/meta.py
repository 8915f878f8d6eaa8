"""The ``meta`` of every ranking."""

from dataflix_backend.schemas.models import ModelMeta, Source
from dataflix_backend.services.model.store import LoadedModel
from dataflix_backend.services.ranking.context_reader import RequestContext


def model_meta(
    loaded: LoadedModel | None,
    source: Source,
    context: RequestContext,
    *,
    count: int,
    limit: int,
    offset: int = 0,
) -> ModelMeta:
    """Return the meta of a list of ``count`` rows. Only a trained model has a version and a training time."""
    return {
        "count": count,
        "limit": limit,
        "offset": offset,
        "source": source,
        "model_version": loaded.version if loaded else None,
        "trained_at": loaded.model.info.trained_at if loaded and loaded.source == "model" else None,
        "stale": context.is_stale,
        "as_of": context.as_of,
    }
