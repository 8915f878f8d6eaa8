"""`./run.sh status` for a stack that runs in Docker."""

from concurrent.futures import ThreadPoolExecutor

from dataflix_stack.config.settings import Settings
from dataflix_stack.docker.compose import Compose, Container
from dataflix_stack.services.registry import Service, wanted_services
from dataflix_stack.services.startup import is_healthy


def rows(settings: Settings) -> list[dict[str, object]]:
    """Return name, state, health, port and log of every service.

    Raises:
        StackError: Docker cannot be used, or its command failed.
    """
    compose = Compose(settings)
    compose.check()
    containers = {container.service: container for container in compose.containers()}
    services = wanted_services(settings)
    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(lambda service: _row(service, settings, containers.get(service.name)), services))


def _row(service: Service, settings: Settings, container: Container | None) -> dict[str, object]:
    # Checked through the published port: a container may be healthy and its port may lead nowhere.
    healthy = container is not None and container.is_running and is_healthy(service, settings)
    return {
        "name": service.name,
        "state": container.state if container else "stopped",
        "healthy": healthy,
        "port": settings.port(service.port_of) if service.port_of else None,
        "pid": None,
        "log": f"docker compose logs {service.name}",
    }
