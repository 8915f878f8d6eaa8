"""`./stop.sh` for a stack that runs, or ran, in Docker."""

from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker.compose import Compose, in_docker
from dataflix_stack.progress import step


def down(settings: Settings, *, purge: bool) -> bool:
    """Remove the containers if the stack runs in Docker; with `purge`, also every volume it has left there.

    Returns:
        Whether there was anything to do.

    Raises:
        StackError: Docker can't be used or refused.
    """
    left = purge and in_docker(settings).home.exists()
    if State.read(settings).runtime != "docker" and not left:
        return False
    compose = Compose(settings)
    compose.check()
    with step("all containers removed, with their data" if purge else "all containers removed"):
        compose.down(purge=purge)
    return True
