"""One Postgres, one MLflow, one published model and one application for all tests of the backend."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import pytest
from flask import Flask

from dataflix_backend.app import bare_app, close_app, create_app
from dataflix_backend.settings import Settings
from dataflix_backend.web.openapi import document
from dataflix_recommender import Model
from dataflix_testkit import MlflowServer, PostgresServer, mlflow, postgres, s3

from .support import copied as copies
from .support import data, models
from .support.api import API_KEY, ApiClient
from .support.contract import Contract, CopiedContract
from .support.killable import KillablePostgres, killable_postgres
from .support.server import Server, serving

StartApp = Callable[[Settings], Flask]


@pytest.fixture(scope="session", autouse=True)
def _all_closed() -> Iterator[None]:
    """Fail if a test has left an application open: its threads would ask a Postgres that is gone."""
    before = set(threading.enumerate())
    yield
    names = {"source-watcher", "api-key-cache", "model-watcher", "stale-context-cache"}
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name in names]
    assert left == [], "start applications with start_app or running_app"


@pytest.fixture(scope="session")
def pg() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def shared_mlflow() -> Iterator[MlflowServer]:
    """A registry; each module registers a model of its own name there."""
    with s3() as storage, mlflow(storage) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[KillablePostgres]:
    """A Postgres that tests may kill; each leaves it running."""
    with killable_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def cluster_catalogue(cluster: KillablePostgres) -> data.Catalogue:
    return data.seed(cluster.server.dsn("dataflix_backend"))


@pytest.fixture(scope="session")
def catalogue(pg: PostgresServer) -> data.Catalogue:
    return data.seed(pg.dsn("dataflix_backend"))


@pytest.fixture(scope="session")
def model(catalogue: data.Catalogue) -> Model:
    return models.taste_model(catalogue.genres, catalogue.titles, returning_weight=50.0)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(document(bare_app()))


def settings_for(home: Path, pg: PostgresServer, **changes: str) -> Settings:
    environ = {**pg.environ, "DATAFLIX_HOME": str(home), "DATAFLIX_API_KEY": API_KEY, **changes}
    return Settings.from_environ(environ)


@contextmanager
def running_app(settings: Settings) -> Iterator[Flask]:
    """An application, which is closed at the end of the block."""
    app = create_app(settings)
    try:
        yield app
    finally:
        close_app(app)


@pytest.fixture
def start_app() -> Iterator[StartApp]:
    """Starts applications for the time of a test."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(running_app(settings))


@pytest.fixture(scope="session")
def app(pg: PostgresServer, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    home = tmp_path_factory.mktemp("home")
    models.publish(home / "models", "7", model)
    with running_app(settings_for(home, pg)) as app:
        yield app


@pytest.fixture
def api(app: Flask, contract: Contract) -> ApiClient:
    return ApiClient(app.test_client(), contract)


@pytest.fixture(scope="session")
def untrained(
    pg: PostgresServer,
    catalogue: data.Catalogue,
    contract: Contract,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ApiClient]:
    """An API that has no model yet."""
    with running_app(settings_for(tmp_path_factory.mktemp("untrained"), pg)) as app:
        yield ApiClient(app.test_client(), contract)


@pytest.fixture
def user(api: ApiClient) -> int:
    """A user that only this test uses."""
    return api.new_user()


@pytest.fixture
def added(pg: PostgresServer) -> Iterator[None]:
    """Remove what a test adds: others count movies."""
    connection = data.connect(pg.dsn("dataflix_backend"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(movie_id) FROM movies")
        last = cursor.fetchone()[0]
        yield
        cursor.execute("DELETE FROM movies WHERE movie_id > %s", (last,))
    connection.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """The home of a running server, with model 1 in it."""
    path = tmp_path_factory.mktemp("served")
    models.publish(path / "models", "1", model)
    return path


@pytest.fixture(scope="module")
def server(home: Path, pg: PostgresServer) -> Iterator[Server]:
    with serving(home, pg.environ) as running:
        yield running


@pytest.fixture(scope="session")
def copied(pg: PostgresServer) -> Iterator[copies.Copied]:
    with copies.copied_database(pg) as made:
        yield made


@pytest.fixture(scope="session")
def shop_model(copied: copies.Copied) -> Model:
    return copied.model


@pytest.fixture(scope="session")
def shop_app(
    copied: copies.Copied, shop_model: Model, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    home = tmp_path_factory.mktemp("shop")
    models.publish(home / "models", "1", shop_model)
    with running_app(settings_for(home, copied.server)) as app:
        yield app


@pytest.fixture
def shop(shop_app: Flask) -> ApiClient:
    client = shop_app.test_client()
    described = orjson.loads(client.get("/openapi.json").data)
    return ApiClient(client, CopiedContract(described))
