"""Starts a service and waits until it is healthy; checks that ports are free."""

import socket
import time
from collections.abc import Iterable

import psutil
import psycopg2
import requests

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError, raise_all
from dataflix_stack.progress import say, step
from dataflix_stack.services import started_with
from dataflix_stack.services.registry import BY_NAME, SERVICES, Service
from dataflix_stack.services.started_with import Change
from dataflix_stack.services.supervisor import Supervisor

_POLL_S = 0.2
# A service that has died this often will not come up later.
MAX_STARTS = 3
_NOT_OURS = (
    " This is where Dataflix's own Postgres is to listen; to recommend from a database of yours, name it by "
    "DATAFLIX_SOURCE_* and start with ./run.sh --source FILE."
)


def is_healthy(service: Service, settings: Settings) -> bool:
    """Return whether a service works; one that cannot be reached does not."""
    try:
        return service.healthy(settings)
    except (requests.RequestException, psycopg2.Error, OSError):
        return False


def start(name: str, settings: Settings, supervisor: Supervisor) -> None:
    """Start a service and wait until it is healthy.

    Raises:
        StackError: it keeps dying or is not healthy in time; the message has the end of its log.
    """
    service = BY_NAME[name]
    with step(name):
        supervisor.start_program(service)
        # Not a plain retry: a service that keeps dying ends the wait early.
        pids: set[int] = set()
        deadline = time.monotonic() + service.start_timeout_s
        while not is_healthy(service, settings):
            if pid := supervisor.pid(service):
                pids.add(pid)
            if problem := service.hopeless(settings):
                raise StackError(problem)
            dies = supervisor.state(service) == "FATAL" or len(pids) > MAX_STARTS
            if dies or time.monotonic() > deadline:
                what = "keeps dying" if dies else f"was not healthy in {service.start_timeout_s} s"
                log = settings.logs / f"{name}.log"
                raise StackError(f"{name} {what}. The end of {log}:\n{supervisor.log_tail(name)}")
            time.sleep(_POLL_S)


def stop_changed(settings: Settings, supervisor: Supervisor) -> None:
    """Stop the running services that were started with other values than `.env` has now, and say which.

    Raises:
        StackError: a new port is taken; then nothing was stopped. Or a service did not end in time.
    """
    changes = {
        service: found
        for service in SERVICES
        if supervisor.pid(service) and (found := started_with.changes(service, settings))
    }
    if not changes:
        return
    check_ports_are_free(settings, [service for service in changes if _has_moved(service, changes[service])])
    for service, found in changes.items():
        say(f"  {service.name} runs with {'; '.join(map(str, found))}: it is started again")
    with step("services with old settings stopped"):
        if SERVICES[0] in changes:
            # Postgres: what uses it ends before it.
            supervisor.stop()
        else:
            supervisor.stop_programs(service.name for service in changes)


def _has_moved(service: Service, changes: Iterable[Change]) -> bool:
    address = {f"DATAFLIX_{service.port_of}_HOST", f"DATAFLIX_{service.port_of}_PORT"}
    return any(change.name in address for change in changes)


def check_ports_are_free(settings: Settings, services: Iterable[Service] = SERVICES) -> None:
    """Check that every port that services need is free.

    Raises:
        StackError: ports are taken; the message names each with its owner and the variable that moves it.
    """
    problems = [_port_problem(service, settings) for service in services if service.port_of is not None]
    raise_all([problem for problem in problems if problem])


def _port_problem(service: Service, settings: Settings) -> str | None:
    host, port = settings[f"{service.port_of}_HOST"], settings.port(str(service.port_of))
    try:
        with socket.socket() as probe:
            # As servers do: a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        ours = "" if service.name != "postgres" else _NOT_OURS
        return (
            f"Port {port} of {host}, which {service.name} needs, is not free ({error.strerror}"
            f"{_owner(port)}). Free it, or move it: DATAFLIX_{service.port_of}_PORT in "
            f"{settings.env_file}.{ours}"
        )
    return None


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            listens = connection.status == psutil.CONN_LISTEN and address and address.port == port
            if listens and connection.pid:
                return f"; {psutil.Process(connection.pid).name()}, pid {connection.pid}, listens on it"
    except psutil.Error:
        # An ordinary user may not see the processes of others; the message then lacks the owner.
        return ""
    return ""
