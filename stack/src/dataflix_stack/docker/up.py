"""`./run.sh --docker`: the same stack in containers."""

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker.compose import Compose, docker_settings
from dataflix_stack.docker.watch import ContainerWatch
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.services import data
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.registry import COPY_SERVICE, SERVICES, has_source
from dataflix_stack.services.startup import check_ports_are_free
from dataflix_stack.services.supervisor import Supervisor
from dataflix_stack.summary import print_summary
from dataflix_stack.up import first_pipeline_run, single_run_lock


def up_in_docker(chosen: Chosen) -> None:
    """Build, start, load data, run the pipeline once, and print the summary.

    Args:
        chosen: which data.

    Raises:
        StackError: Docker cannot be used, or a step failed. Services that have started keep running.
    """
    data.check(chosen)
    settings = stack_settings.load(create=True)
    settings = data.settle(settings, chosen, State.read(docker_settings(settings)))
    compose = Compose(settings)
    compose.check()
    stack_settings.prepare_home(settings.home)
    in_docker = docker_settings(settings)
    with single_run_lock(settings):
        _record_start(settings, in_docker, compose)
        say("  Docker builds images and starts containers; the first time takes minutes.")
        with step("images and containers"):
            needed = [service.name for service in SERVICES if not service.in_background]
            # The first copy comes before those that follow it.
            compose.up(sorted(name for name in needed if name != COPY_SERVICE))
        data.load(in_docker, chosen)
        if has_source(settings):
            with step(COPY_SERVICE):
                compose.up([COPY_SERVICE])
        first_pipeline_run(in_docker, ContainerWatch(compose).check)
        print_summary(settings, logs="in Docker (docker compose logs SERVICE)")
        # Last: building their images takes minutes, and nothing else needs them.
        background = [service.name for service in SERVICES if service.in_background]
        with step(", ".join(background)):
            compose.up(background)


def _record_start(settings: Settings, in_docker: Settings, compose: Compose) -> None:
    if Supervisor(settings).process() is not None:
        raise StackError("The stack already runs without Docker in this state folder; ./stop.sh stops it.")
    is_known = in_docker.home.exists()
    running = [container for container in compose.containers() if container.is_running]
    # Volumes of another folder have the passwords of another .env, and perhaps data that someone needs.
    if not is_known and (volumes := compose.volumes()):
        raise StackError(
            f"Docker already has volumes of this Compose project ({', '.join(sorted(volumes)[:3])}, ...), "
            f"and the state folder {settings.home} did not make them. Choose another project with "
            "COMPOSE_PROJECT_NAME, or delete the volumes: `docker compose down --volumes`."
        )
    if not running:
        check_ports_are_free(settings)
    stack_settings.prepare_home(in_docker.home)
    state = State.read(settings)
    state.runtime = "docker"
    state.write(settings)
