"""`./stop.sh` for a stack that runs or ran in Docker."""

from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker.compose import Compose, docker_settings
from dataflix_stack.progress import step


def down(settings: Settings, *, purge: bool) -> bool:
    """Remove the containers if the stack runs in Docker.

    Args:
        settings: the stack's settings.
        purge: remove the volumes too, also those of a stack that has been stopped.

    Returns:
        Whether there was anything to remove.

    Raises:
        StackError: Docker cannot be used, or its command failed.
    """
    has_volumes = purge and docker_settings(settings).home.exists()
    if State.read(settings).runtime != "docker" and not has_volumes:
        return False
    compose = Compose(settings)
    compose.check()
    with step("all containers and their data removed" if purge else "all containers removed"):
        compose.down(purge=purge)
    return True
