"""`./run.sh status`: every service, its port and its health."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.docker import status as docker_status
from dataflix_stack.services import leftovers, started_with
from dataflix_stack.services.registry import BY_NAME, Service, wanted_services
from dataflix_stack.services.source import SourceStatus, source_status
from dataflix_stack.services.startup import is_healthy
from dataflix_stack.services.supervisor import Supervisor

# It runs, and the supervisor that started it does not.
_LEFT_BEHIND = "left behind"


def status(*, as_json: bool) -> bool:
    """Print the state of every service to stdout and return whether all are healthy and copies succeed.

    A service that starts in the background counts as healthy until it has started.

    Raises:
        StackError: nothing was started from this folder yet.
    """
    settings = stack_settings.load(create=False)
    rows = docker_status.rows(settings) if State.read(settings).runtime == "docker" else _rows(settings)
    source = source_status(settings)
    if as_json:
        print(json.dumps({"services": rows, "source": asdict(source) if source else None}, indent=2))
    else:
        _print_table(rows)
        _print_changes(settings, rows)
        if any(row["state"] == _LEFT_BEHIND for row in rows):
            print("Services run without their supervisor: ./run.sh starts them again, ./stop.sh ends them.")
        if source:
            _print_source(source)
    copies_work = source is None or source.problem is None
    return copies_work and all(row["healthy"] or _is_starting(row) for row in rows)


def _rows(settings: Settings) -> list[dict[str, object]]:
    supervisor = Supervisor(settings)
    is_running = supervisor.process() is not None
    left_behind = set() if is_running else set(leftovers.find(settings.home).values())
    services = wanted_services(settings)
    with ThreadPoolExecutor(len(services)) as pool:
        rows = list(
            pool.map(lambda service: _row(service, settings, supervisor if is_running else None), services)
        )
    return [row | {"state": _LEFT_BEHIND} if row["name"] in left_behind else row for row in rows]


def _row(service: Service, settings: Settings, supervisor: Supervisor | None) -> dict[str, object]:
    state = supervisor.state(service).lower() if supervisor else "stopped"
    # When our service is down, another program may answer on its port.
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
        "old_settings": [str(change) for change in started_with.changes(service, settings)]
        if state in ("running", "starting")
        else [],
    }


def _is_starting(row: dict[str, object]) -> bool:
    return row["state"] == "starting" and BY_NAME[str(row["name"])].in_background


def _print_source(source: SourceStatus) -> None:
    # No line breaks: piped output has no width.
    console = Console(highlight=False, soft_wrap=True)
    if source.source is None:
        console.print("Your database was not copied yet.")
    else:
        console.print(f"Your database {escape(source.source)}, copy: {source.mode}. {source.guarantee}")
        console.print(f"Last copy {source.copied_at}; last comparison of every row {source.compared_at}.")
    if source.problem:
        since = f" since {source.failing_since}" if source.failing_since else ""
        console.print(f"[red]Copies fail{since}:[/] {escape(source.problem)}")


def _print_table(rows: list[dict[str, object]]) -> None:
    table = Table("Service", "Port", "State", "Health", "Pid")
    for row in rows:
        health = "[green]healthy[/]" if row["healthy"] else "[red]not healthy[/]"
        if _is_starting(row):
            health = "[yellow]not yet[/]"
        table.add_row(
            str(row["name"]), str(row["port"] or ""), str(row["state"]), health, str(row["pid"] or "")
        )
    Console(highlight=False).print(table)


def _print_changes(settings: Settings, rows: list[dict[str, object]]) -> None:
    # Containers have no such entry: Compose itself starts those again whose settings have changed.
    changed = [row for row in rows if row.get("old_settings")]
    if not changed:
        return
    print(f"{settings.env_file} was changed since these services were started; ./run.sh starts them again:")
    for row in changed:
        print(f"  {row['name']} runs with {'; '.join(cast('list[str]', row['old_settings']))}")
