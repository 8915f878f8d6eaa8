"""The application factory."""

from flask import Flask

from dataflix_backend import access_log, auth, cors, errors, headers, metrics, openapi, resources
from dataflix_backend.access.known_file import KnownFile
from dataflix_backend.access.rates import Rates
from dataflix_backend.access.ring import KeyRing
from dataflix_backend.access.shelf import Shelf
from dataflix_backend.database import Database
from dataflix_backend.services import Services, attach
from dataflix_backend.serving.known_films import KnownFilms
from dataflix_backend.serving.last_known import LastKnown
from dataflix_backend.serving.list_ids import ListIds
from dataflix_backend.serving.popularity import PopularityStandIn
from dataflix_backend.serving.store import ModelStore
from dataflix_backend.settings import Settings

# The largest honest body, a session of 1,000 ratings, has about 52 KB.
MAX_BODY_BYTES = 64 * 1024


def create_app(settings: Settings) -> Flask:
    """Return the application of one worker; its model is loaded and watched from now on.

    Postgres need not answer yet: until it does, recommendations come from the model alone and what needs
    Postgres answers 503.
    """
    app = bare_app()
    database = Database(settings.postgres, settings.threads)
    store = ModelStore(settings.models_dir)
    list_ids = ListIds(settings.api_key)
    last_known = LastKnown(database)
    stand_in = PopularityStandIn(database)
    attach(app, Services(database, store, stand_in, list_ids, last_known, KnownFilms()))
    access_log.register(app)
    metrics.register(app)
    headers.register(app)
    errors.register(app)
    cors.register(app, settings.cors_origins)
    rates = Rates(settings.rate_limit, settings.admin_rate_limit, Shelf.at(settings.counts))
    ring = KeyRing(database, settings.api_key, rates, KnownFile(settings.known_keys))
    auth.register(app, ring, rates, database)
    openapi.prepare(app)
    ring.start()
    store.start()
    last_known.start()
    return app


def bare_app() -> Flask:
    """Return the routes alone, enough to describe them."""
    app = Flask("dataflix_backend", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False)
    # A redirect would answer HTML; an address with doubled slashes is simply not one of ours.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    resources.register(app)
    return app
