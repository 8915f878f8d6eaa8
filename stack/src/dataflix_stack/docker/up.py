"""`./run.sh --docker`: the same stack, in containers."""

from pathlib import Path

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker.compose import Compose, in_docker
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.services import preparation
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.startup import refuse_taken_ports
from dataflix_stack.services.supervisor import Supervisor
from dataflix_stack.summary import print_page
from dataflix_stack.up import first_pipeline_run, only_one


def up_in_docker(data: Path | None) -> None:
    """Build, start, load, run the pipeline once, and print the page: `up`, in containers.

    Raises:
        StackError: Docker can't be used, or a step failed; what was started goes on running.
    """
    if data is not None:
        preparation.require_movielens(data)
    settings = stack_settings.load(create=True)
    compose = Compose(settings)
    compose.check()
    stack_settings.prepare_home(settings.home)
    inside = in_docker(settings)
    with only_one(settings):
        _claim(settings, inside, compose)
        say("  Docker builds images and starts containers; the first time takes minutes.")
        with step("images and containers"):
            compose.up(sorted(service.name for service in SERVICES if not service.in_background))
        preparation.load_data(inside, data)
        first_pipeline_run(inside)
        print_page(settings, logs="in Docker (docker compose logs SERVICE)")
        # Last, so that nobody waits for their images.
        background = [service.name for service in SERVICES if service.in_background]
        with step(", ".join(background)):
            compose.up(background)


def _claim(settings: Settings, inside: Settings, compose: Compose) -> None:
    if Supervisor(settings).process() is not None:
        raise StackError("The stack runs without Docker in this state folder; ./stop.sh ends it.")
    known = inside.home.exists()
    running = [container for container in compose.containers() if container.is_running]
    # Another folder's volumes hold another .env's passwords, and perhaps somebody's data.
    if not known and (volumes := compose.volumes()):
        raise StackError(
            f"Docker already has volumes of this Compose project ({', '.join(sorted(volumes)[:3])}, ...), "
            f"not made from the state folder {settings.home}. COMPOSE_PROJECT_NAME names another project; "
            "`docker compose down --volumes` deletes them."
        )
    if not running:
        refuse_taken_ports(settings)
    stack_settings.prepare_home(inside.home)
    state = State.read(settings)
    state.runtime = "docker"
    state.write(settings)
