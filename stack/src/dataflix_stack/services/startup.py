"""Starts single services and waits until they are healthy."""

import socket
import time

import psutil
import psycopg2
import requests

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.progress import step
from dataflix_stack.services.registry import BY_NAME, SERVICES, Service
from dataflix_stack.services.supervisor import Supervisor

_POLL_S = 0.2
# A service that died this often while it was waited for will not come up by waiting longer.
_MAX_STARTS = 3


def is_healthy(service: Service, settings: Settings) -> bool:
    """Say whether a service does its work now; one that can't be reached does not."""
    try:
        return service.healthy(settings)
    except (requests.RequestException, psycopg2.Error, OSError):
        return False


def start(name: str, settings: Settings, supervisor: Supervisor) -> None:
    """Start a service and wait for its health.

    Raises:
        StackError: it died or was not healthy in time; the end of its log is in the message.
    """
    service = BY_NAME[name]
    with step(name):
        supervisor.start_program(service)
        seen: set[int] = set()
        deadline = time.monotonic() + service.start_timeout_s
        while not is_healthy(service, settings):
            if pid := supervisor.pid(service):
                seen.add(pid)
            dies = supervisor.state(service) == "FATAL" or len(seen) > _MAX_STARTS
            if dies or time.monotonic() > deadline:
                what = "keeps dying" if dies else f"was not healthy in {service.start_timeout_s} s"
                log = settings.logs / f"{name}.log"
                raise StackError(f"{name} {what}. The end of {log}:\n{supervisor.log_tail(service)}")
            time.sleep(_POLL_S)


def refuse_taken_ports(settings: Settings) -> None:
    """Check that every port the stack will listen on is free.

    Raises:
        StackError: one is taken; the message names the port, who has it, and the variable that moves it.
    """
    for service in SERVICES:
        if service.port_of is None:
            continue
        host, port = settings[f"{service.port_of}_HOST"], settings.port(service.port_of)
        with socket.socket() as probe:
            # As servers do: a connection of ours that only lingers does not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise StackError(
                    f"Port {port} of {host}, wanted by {service.name}, can't be had ({error.strerror}"
                    f"{_owner(port)}). Free it, or move it: DATAFLIX_{service.port_of}_PORT in "
                    f"{settings.env_file}."
                ) from error


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            listens = connection.status == psutil.CONN_LISTEN and address and address.port == port
            if listens and connection.pid:
                return f"; {psutil.Process(connection.pid).name()}, pid {connection.pid}, listens there"
    except psutil.Error:
        # Only a courtesy: an ordinary user may not see others' processes.
        return ""
    return ""
