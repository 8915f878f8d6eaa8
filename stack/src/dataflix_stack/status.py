"""`./run.sh status`: every service, its port and its health."""

import json
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker import status as docker_status
from dataflix_stack.services.registry import BY_NAME, SERVICES, Service
from dataflix_stack.services.startup import is_healthy
from dataflix_stack.services.supervisor import Supervisor


def status(*, as_json: bool) -> bool:
    """Print the state of every service to stdout and say whether all are healthy.

    Raises:
        StackError: nothing was set up here yet.
    """
    settings = stack_settings.load(create=False)
    rows = docker_status.rows(settings) if State.read(settings).runtime == "docker" else _rows(settings)
    if as_json:
        print(json.dumps({"services": rows}, indent=2))
    else:
        _print_table(rows)
    return all(row["healthy"] or _is_coming_up(row) for row in rows)


def _rows(settings: Settings) -> list[dict[str, object]]:
    supervisor = Supervisor(settings)
    runs = supervisor.process() is not None
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        return list(pool.map(lambda service: _row(service, settings, supervisor if runs else None), SERVICES))


def _row(service: Service, settings: Settings, supervisor: Supervisor | None) -> dict[str, object]:
    state = supervisor.state(service).lower() if supervisor else "stopped"
    # Somebody else's server may answer on the port of a service of ours that is down.
    healthy = state == "running" and is_healthy(service, settings)
    if state == "running" and not healthy and service.in_background:
        state = "starting"
    return {
        "name": service.name,
        "state": state,
        "healthy": healthy,
        "port": settings.port(service.port_of) if service.port_of else None,
        "pid": supervisor.pid(service) if supervisor else None,
        "log": str(settings.logs / f"{service.name}.log"),
    }


def _is_coming_up(row: dict[str, object]) -> bool:
    return row["state"] == "starting" and BY_NAME[str(row["name"])].in_background


def _print_table(rows: list[dict[str, object]]) -> None:
    table = Table("Service", "Port", "State", "Health", "Pid")
    for row in rows:
        health = "[green]healthy[/]" if row["healthy"] else "[red]not healthy[/]"
        if _is_coming_up(row):
            health = "[yellow]not yet[/]"
        table.add_row(
            str(row["name"]), str(row["port"] or ""), str(row["state"]), health, str(row["pid"] or "")
        )
    Console(highlight=False).print(table)
