"""`./run.sh`: starts what is not running yet, and stops when the API recommends from a trained model."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from dataflix_common.locks import LockHeldError, exclusive_lock
from dataflix_stack.airflow.pipeline import run_pipeline
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker.compose import Compose
from dataflix_stack.docker.watch import ContainerWatch
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.served_model import Publication, latest_publication, served_version, why_none
from dataflix_stack.services import data, leftovers, preparation, source
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.first_checks import checked_settings
from dataflix_stack.services.registry import COPY_SERVICE, SERVICES, has_source
from dataflix_stack.services.startup import check_ports_are_free, is_healthy, start, stop_changed
from dataflix_stack.services.supervisor import Supervisor
from dataflix_stack.services.watch import ServiceWatch
from dataflix_stack.summary import print_summary

# The first run takes about a minute on two cores; a slow disk or a large data set takes longer.
PIPELINE_TIMEOUT_S = 3600

# model-sync and the API's workers look for a new model about once a second; the rest is download and checks.
_MODEL_TIMEOUT_S = 60


def up(chosen: Chosen) -> None:
    """Build, start, load data, run the pipeline once, and print the summary.

    Args:
        chosen: which data.

    Raises:
        StackError: a step failed. Services that have started keep running; the next `./run.sh` continues.
    """
    settings = checked_settings(chosen)
    supervisor = Supervisor(settings)
    with single_run_lock(settings):
        _record_start(settings)
        if supervisor.process() is not None:
            if supervisor.is_outdated():
                with step("services of another version stopped"):
                    supervisor.stop()
            else:
                stop_changed(settings, supervisor)
        if supervisor.process() is None:
            if names := leftovers.end(settings.home):
                say(f"  ended what ran without its supervisor: {', '.join(names)}")
            check_ports_are_free(settings)
            supervisor.start()
        _start_services(settings, supervisor, chosen)
        # These start during the first pipeline run; nothing waits for them.
        for service in SERVICES:
            if service.in_background:
                supervisor.start_program(service)
        first_pipeline_run(settings, ServiceWatch(settings, supervisor).check)
    print_summary(settings)


def pipeline(*, full: bool, accept_source: bool) -> None:
    """Run `elt_pipeline` again and wait for its end.

    Args:
        full: load whole tables instead of changes.
        accept_source: take over another database than the one that was copied and loaded.

    Raises:
        StackError: a service is not healthy, your own database could not be copied, or the run failed.
    """
    settings = stack_settings.load(create=False)
    needed = [service for service in SERVICES if not service.in_background]
    unhealthy = [service.name for service in needed if not is_healthy(service, settings)]
    if unhealthy:
        raise StackError(
            f"Not running or not healthy: {', '.join(unhealthy)}. ./run.sh starts what is missing."
        )
    if has_source(settings):
        source.copy(settings, accept_source=accept_source)
    run_pipeline(
        settings.values,
        timeout=PIPELINE_TIMEOUT_S,
        full=full,
        accept_source=accept_source,
        watch=_watch(settings),
    )
    _tell_refusal(latest_publication(settings))


def _watch(settings: Settings) -> Callable[[], None]:
    if State.read(settings).runtime == "docker":
        return ContainerWatch(Compose(settings)).check
    return ServiceWatch(settings, Supervisor(settings)).check


def _start_services(settings: Settings, supervisor: Supervisor, chosen: Chosen) -> None:
    def postgres() -> None:
        preparation.create_postgres_cluster(settings)
        start("postgres", settings, supervisor)
        preparation.apply_postgres_init(settings)

    def storage() -> None:
        start("s3", settings, supervisor)
        preparation.create_bucket(settings)

    def airflow() -> None:
        preparation.prepare_airflow(settings)
        _run_in_parallel(one("airflow-api-server"), one("airflow-scheduler"), one("airflow-dag-processor"))

    def one(name: str) -> Callable[[], None]:
        return lambda: start(name, settings, supervisor)

    def api() -> None:
        data.load(settings, chosen)
        follows = [one(COPY_SERVICE)] if has_source(settings) else []
        _run_in_parallel(one("backend"), one("trainer"), *follows)

    def registry() -> None:
        start("mlflow", settings, supervisor)
        start("model-sync", settings, supervisor)

    _run_in_parallel(preparation.build_airflow_environment, postgres, storage, one("clickhouse"))
    _run_in_parallel(airflow, registry, api)


def _run_in_parallel(*functions: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
    # All have ended; only the first error is raised.
    for future in futures:
        future.result()


def _record_start(settings: Settings) -> None:
    state = State.read(settings)
    if state.runtime == "docker":
        raise StackError("The stack was started with --docker; run ./stop.sh first.")
    state.runtime = "local"
    state.write(settings)


def first_pipeline_run(settings: Settings, watch: Callable[[], None]) -> None:
    """Run `elt_pipeline` once for each state folder and wait until the API serves the model.

    A model that the promotion rule refuses is no error: then the API recommends popular movies.

    Args:
        settings: the stack's settings.
        watch: called again and again during the wait; raises if a service keeps dying.

    Raises:
        StackError: a service keeps dying, the run failed, or the API does not serve its model.
    """
    state = State.read(settings)
    if state.first_run is not None:
        return
    if state.data == data.NONE:
        say("  There are no data yet, so the pipeline has nothing to do. Load some, then: ./run.sh pipeline")
        return
    result = run_pipeline(settings.values, timeout=PIPELINE_TIMEOUT_S, watch=watch)
    # Whatever happens to the model, another run of the pipeline on the same data would make the same one.
    state.first_run = result.run_id
    state.write(settings)
    publication = latest_publication(settings)
    _tell_refusal(publication)
    if publication is not None and publication.champion is None:
        return
    with step("the API has the new model"):
        _wait_for_model(settings)


def _tell_refusal(publication: Publication | None) -> None:
    if publication is not None and not publication.promoted:
        say(f"  the new model does not serve: {publication.reason}")


def _wait_for_model(settings: Settings) -> None:
    wait_for_model = Retrying(
        # A worker of the API may be starting again.
        retry=retry_if_result(lambda serves: not serves) | retry_if_exception_type(StackError),
        stop=stop_after_delay(_MODEL_TIMEOUT_S),
        wait=wait_fixed(0.5),
        retry_error_callback=lambda _: False,
    )
    if wait_for_model(lambda: served_version(settings) is not None):
        return
    raise StackError(
        f"The pipeline succeeded, but the API serves no model after {_MODEL_TIMEOUT_S} s. "
        + why_none(latest_publication(settings))
    )


@contextmanager
def single_run_lock(settings: Settings) -> Iterator[None]:
    """Keep a second `./run.sh` from working on the same state folder.

    Raises:
        StackError: another `./run.sh` is working on it.
    """
    try:
        with exclusive_lock(settings.home / "run" / "up.lock"):
            yield
    except LockHeldError:
        raise StackError(
            "Another ./run.sh is working on this state folder; wait until it has ended."
        ) from None
    say("")
