"""The application factory."""

from collections.abc import Callable

from flask import Flask

from dataflix_backend import resources
from dataflix_backend.database import Database
from dataflix_backend.services.access.api_key_cache import ApiKeyCache
from dataflix_backend.services.access.key_cache_file import KeyCacheFile
from dataflix_backend.services.access.rate_limiter import RateLimiter
from dataflix_backend.services.access.shared_counters import SharedCounters
from dataflix_backend.services.container import Services
from dataflix_backend.services.list_ids import ListIds
from dataflix_backend.services.model.popularity_fallback import PopularityFallback
from dataflix_backend.services.model.store import ModelStore
from dataflix_backend.services.ranking.context_reader import ContextReader
from dataflix_backend.services.ranking.erased_users import ErasedUsers
from dataflix_backend.services.ranking.movie_cache import MovieCache
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_backend.services.source.source_ids import SourceIds
from dataflix_backend.services.source.source_items_file import SourceItemsFile
from dataflix_backend.services.source.source_watcher import SourceWatcher
from dataflix_backend.settings import Settings
from dataflix_backend.web import access_log, auth, cors, errors, metrics, openapi, security_headers
from dataflix_backend.web.current_services import attach
from dataflix_backend.web.encoded_slashes import EncodedSlashes

# The largest valid body, a session of 1,000 ratings, has about 52 KB.
MAX_BODY_BYTES = 64 * 1024
_CLOSE = "dataflix-close"
# A statement of a thread ends after 10 s at the latest; a worker that ends need not wait for its answer.
_CLOSE_WAIT_S = 2.0


def create_app(settings: Settings) -> Flask:
    """Return the application of one worker. Its model is loaded, and watched from now on.

    Postgres may be away. Until it answers, recommendations come from the model alone, and everything that
    needs Postgres is unavailable.
    """
    app = bare_app()
    database = Database(settings, settings.threads)
    stale_contexts = StaleContextCache(database, ErasedUsers(settings.erased_users))
    ids = SourceIds(database)
    items_file = SourceItemsFile(settings.source_items_file)
    source = SourceWatcher(database, ids, settings.source_file, items_file)
    models = ModelStore(settings.models_dir, lambda: source.current)
    services = Services(
        database,
        models,
        PopularityFallback(database),
        ListIds(settings.api_key),
        stale_contexts,
        ContextReader(database, stale_contexts, MovieCache(), lambda: source.current),
        source,
        ids,
    )
    attach(app, services)
    access_log.register(app)
    metrics.register(app)
    security_headers.register(app)
    errors.register(app)
    cors.register(app, settings.cors_origins)
    limiter = RateLimiter(settings.rate_limit, settings.admin_rate_limit, SharedCounters.at(settings.counts))
    keys = ApiKeyCache(database, settings.api_key, limiter, KeyCacheFile(settings.key_cache_file))
    auth.register(app, keys, limiter, database)
    openapi.prepare(app)
    app.wsgi_app = EncodedSlashes(app.wsgi_app, lambda: source.current.is_copy)  # type: ignore[method-assign]
    repeated = (source.reading, keys.refreshing, models.watching, stale_contexts.forgetting)

    def close() -> None:
        for one in repeated:
            one.stop()
        for one in repeated:
            one.join(_CLOSE_WAIT_S)
        database.close()

    app.extensions[_CLOSE] = close
    source.start()
    keys.start()
    models.start()
    stale_contexts.start()
    return app


def close_app(app: Flask) -> None:
    """End the threads of an application and close its connections. No request may be running or follow."""
    close: Callable[[], None] = app.extensions[_CLOSE]
    close()


def bare_app() -> Flask:
    """Return an application with the routes alone, enough to describe them."""
    app = Flask("dataflix_backend", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False)
    # A redirect would answer HTML; an address with doubled slashes is not one of our routes.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    resources.register(app)
    return app
