"""The services of one worker, built once and shared by all of its requests."""

from dataclasses import dataclass

from dataflix_backend.database import Database
from dataflix_backend.services.list_ids import ListIds
from dataflix_backend.services.model.popularity_fallback import PopularityFallback
from dataflix_backend.services.model.store import LoadedModel, ModelStore
from dataflix_backend.services.ranking.context_reader import ContextReader
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_backend.services.source.source_ids import SourceIds
from dataflix_backend.services.source.source_watcher import SourceWatcher


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the worker.

    Attributes:
        database: the connection pool.
        models: the trained model.
        popularity: what is served while there is no trained model.
        list_ids: makes and reads ids of lists.
        stale_contexts: what is known of users while Postgres is away.
        contexts: reads what a ranking starts from.
        source: what our tables are a copy of.
        source_ids: the application's ids and our numbers.
    """

    database: Database
    models: ModelStore
    popularity: PopularityFallback
    list_ids: ListIds
    stale_contexts: StaleContextCache
    contexts: ContextReader
    source: SourceWatcher
    source_ids: SourceIds

    def loaded_model(self) -> LoadedModel | None:
        """Return the trained model, or the popularity fallback; None when there are no movies either."""
        return self.models.loaded or self.popularity.get()
