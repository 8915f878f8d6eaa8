"""`./run.sh`: from whatever state the folder is in to a running stack with recommendations."""

import fcntl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from dataflix_stack.airflow.pipeline import run_pipeline
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.services import preparation
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.startup import is_healthy, refuse_taken_ports, start
from dataflix_stack.services.supervisor import Supervisor
from dataflix_stack.summary import print_page

# The first pipeline run takes about a minute on two cores; a slow disk or a large data set may take many.
PIPELINE_TIMEOUT_S = 3600

# model-sync looks about once a second and the workers as often; the rest is download and check.
_MODEL_TIMEOUT_S = 60


def up(data: Path | None) -> None:
    """Build, start, load, run the pipeline once, and print the page.

    Raises:
        StackError: a step failed; what was started goes on running, so that its logs can be read and the next
            `./run.sh` goes on from there.
    """
    if data is not None:
        preparation.require_movielens(data)
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    supervisor = Supervisor(settings)
    with only_one(settings):
        _claim(settings)
        if supervisor.process() is not None and supervisor.is_outdated():
            with step("services of another version stopped"):
                supervisor.stop()
        if supervisor.process() is None:
            refuse_taken_ports(settings)
            supervisor.start()
        _start_services(settings, supervisor, data)
        # Nobody waits for these: they come up beside the first pipeline run.
        for service in SERVICES:
            if service.in_background:
                supervisor.start_program(service)
        first_pipeline_run(settings)
    print_page(settings)


def pipeline(*, full: bool) -> None:
    """Run `elt_pipeline` again and wait for its end.

    Args:
        full: load whole tables, not only what has changed.

    Raises:
        StackError: the stack is not running, or the run failed.
    """
    settings = stack_settings.load(create=False)
    needed = [service for service in SERVICES if not service.in_background]
    down = [service.name for service in needed if not is_healthy(service, settings)]
    if down:
        raise StackError(f"Not running or not healthy: {', '.join(down)}. ./run.sh starts what is missing.")
    run_pipeline(settings.values, timeout=PIPELINE_TIMEOUT_S, full=full)


def _start_services(settings: Settings, supervisor: Supervisor, data: Path | None) -> None:
    def postgres() -> None:
        preparation.create_postgres_cluster(settings)
        start("postgres", settings, supervisor)
        preparation.apply_postgres_init(settings)

    def storage() -> None:
        start("s3", settings, supervisor)
        preparation.create_bucket(settings)

    def airflow() -> None:
        preparation.prepare_airflow(settings)
        _together(one("airflow-api-server"), one("airflow-scheduler"), one("airflow-dag-processor"))

    def one(name: str) -> Callable[[], None]:
        return lambda: start(name, settings, supervisor)

    def api() -> None:
        preparation.load_data(settings, data)
        _together(one("backend"), one("trainer"))

    def registry() -> None:
        start("mlflow", settings, supervisor)
        start("model-sync", settings, supervisor)

    _together(preparation.build_airflow_environment, postgres, storage, one("clickhouse"))
    _together(airflow, registry, api)


def _together(*works: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
    # All have ended here; the first error is told, the services keep what the others reached.
    for future in futures:
        future.result()


def _claim(settings: Settings) -> None:
    state = State.read(settings)
    if state.runtime == "docker":
        raise StackError("The stack was started with --docker; ./stop.sh ends that first.")
    state.runtime = "local"
    state.write(settings)


def first_pipeline_run(settings: Settings) -> None:
    """Run `elt_pipeline` and wait until the API serves its model, unless this state folder has seen that.

    Raises:
        StackError: the run failed, or its model does not arrive.
    """
    state = State.read(settings)
    if state.first_run is not None:
        return
    result = run_pipeline(settings.values, timeout=PIPELINE_TIMEOUT_S)
    with step("the API has the new model"):
        _wait_for_model(settings)
    state.first_run = result.run_id
    state.write(settings)


def _wait_for_model(settings: Settings) -> None:
    deadline = time.monotonic() + _MODEL_TIMEOUT_S
    headers = {"X-API-Key": settings["API_KEY"]}
    while time.monotonic() < deadline:
        answer = requests.get(settings.url("BACKEND") + "/model", headers=headers, timeout=5)
        if answer.ok:
            return
        time.sleep(0.5)
    raise StackError(
        f"The pipeline ran, yet the API serves no model after {_MODEL_TIMEOUT_S} s. Either the promotion "
        "rule refused it (.venv/bin/trainer models tells why), or model-sync's log says more: "
        "./run.sh status --json names it."
    )


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the state folder against a second `./run.sh`.

    Raises:
        StackError: another one holds it.
    """
    with (settings.home / "run" / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("Another ./run.sh works on this state folder; wait for it.") from None
        yield
    say("")
