"""`trainer rollback` under load: every worker serves the previous version, and no request fails."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_backend.services.model import files, store
from dataflix_backend.services.model.synchroniser import POLL_INTERVAL_S
from dataflix_testkit import MlflowServer, PostgresServer
from dataflix_testkit.process import server_process

from .support.data import Catalogue
from .support.models import taste_model
from .support.server import COMMAND, Server, environment, serving
from .test_server import Load, wait_for_version
from .test_sync import named, register

TRAINER = Path(sys.executable).with_name("trainer")
# The promised time for a rollback, and the part of it that waits; requests and loading need the rest.
PROMISED_S = 5.0
WAITED_S = POLL_INTERVAL_S + store.WATCH_INTERVAL_S


@pytest.fixture(scope="module")
def registry(
    shared_mlflow: MlflowServer, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> MlflowServer:
    """A registry with two versions, of which the second is the champion, as the trainer leaves it."""
    server = named(shared_mlflow, "rollback")
    for seed in (1, 2):
        artifact = tmp_path_factory.mktemp("artifact") / "dataflix-model"
        taste_model(catalogue.genres, catalogue.titles, seed=seed).save(artifact)
        register(server, artifact)
    return server


@pytest.fixture
def server(registry: MlflowServer, pg: PostgresServer, tmp_path: Path) -> Iterator[Server]:
    """gunicorn with two workers, and the synchroniser that feeds them."""
    models = tmp_path / "models"

    def synchronised() -> bool:
        current = files.read_current(models)
        return current is not None and current.version == "2"

    environ = environment(tmp_path, registry.environ)
    command = [str(COMMAND), "sync-model"]
    with (
        server_process(command, ready=synchronised, log=tmp_path / "sync.log", environ=environ),
        serving(tmp_path, pg.environ) as workers,
    ):
        yield workers


def test_waiting_leaves_most_of_the_promised_time() -> None:
    assert WAITED_S <= PROMISED_S / 2


def test_rollback_reaches_every_worker_without_a_failed_request(
    server: Server,
    registry: MlflowServer,
    catalogue: Catalogue,
    tmp_path: Path,
) -> None:
    wait_for_version(server, "2")
    with Load(server, catalogue.users[0], clients=2) as load:
        rolled_back = subprocess.run(
            [TRAINER, "rollback", "--json"],
            env=environment(tmp_path, registry.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert rolled_back.returncode == 0, rolled_back.stderr
        wait_for_version(server, "1")
    assert load.failures == []
    lists = {version: movies for version, _, movies in load.answers}
    assert set(lists) == {"1", "2"}
    assert len(load.answers) == 2, "an answer mixed two versions"
