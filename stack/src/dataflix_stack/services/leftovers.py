"""Ends the processes of a stack that its supervisor did not end.

After a supervisor was killed its services run on, and a service may have started processes in sessions of
their own, which no signal to its process group reaches. Each process of the stack inherits a mark in its
environment; psutil has no notion of a service, and cgroups would need rights that an ordinary user lacks.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from dataflix_stack.errors import StackError
from dataflix_stack.services.registry import BY_NAME, SERVICES

# Set by us alone: DATAFLIX_HOME may also be in the environment of a person's shell.
MARK = "DATAFLIX_SUPERVISED"
SUPERVISOR = "supervisord"

# As long as the supervisor gives a service to end (stopwaitsecs).
_END_TIMEOUT_S = 25
_KILL_TIMEOUT_S = 5
_POSTGRES = SERVICES[0].name


def mark(name: str, home: Path) -> dict[str, str]:
    """Return what marks a process and all that it starts as those of a service.

    Args:
        name: of the service, or `SUPERVISOR`.
        home: the state folder.
    """
    return {MARK: f"{name}:{home}"}


def find(home: Path) -> dict[psutil.Process, str]:
    """Return the running processes of a state folder's stack, each with the name of its service."""
    marked = {process: name for process in psutil.process_iter() if (name := _service(process, home))}
    # The supervisor's have marks of their own. Postgres ends its processes itself, and they end when it dies.
    parents = [process for process, name in marked.items() if name not in (SUPERVISOR, _POSTGRES)]
    found = {child: marked[parent] for parent in parents for child in _children(parent)} | marked
    ourselves = {psutil.Process(), *psutil.Process().parents()}
    return {process: name for process, name in found.items() if process not in ourselves}


def end(home: Path) -> list[str]:
    """End all processes of a state folder's stack, and return the names of their services.

    The supervisor ends first, so that it starts nothing again, and Postgres last, where the others still
    write.

    Raises:
        StackError: a process did not end, even when it was killed.
    """
    names: set[str] = set()
    for stage in (_is_supervisor, _is_service, lambda _: True):
        began = time.monotonic()
        # Again: a process may have started another one before it ended.
        while chosen := {process: name for process, name in find(home).items() if stage(name)}:
            names |= set(chosen.values())
            if time.monotonic() - began > _END_TIMEOUT_S + _KILL_TIMEOUT_S:
                listed = ", ".join(f"{process.pid} ({name})" for process, name in chosen.items())
                raise StackError(f"These processes did not end: {listed}.")
            _end(chosen)
    return sorted(names)


def _end(processes: dict[psutil.Process, str]) -> None:
    for process, name in processes.items():
        _signal(process, _stop_signal(name))
    _, alive = psutil.wait_procs(processes, timeout=_END_TIMEOUT_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_KILL_TIMEOUT_S)


def _is_supervisor(name: str) -> bool:
    return name == SUPERVISOR


def _is_service(name: str) -> bool:
    return name != _POSTGRES


def _stop_signal(name: str) -> signal.Signals:
    service = BY_NAME.get(name)
    return signal.Signals[f"SIG{service.stop_signal}"] if service else signal.SIGTERM


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        # It has ended meanwhile.
        return


def _service(process: psutil.Process, home: Path) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        value = process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        # It has ended, or it is another account's and therefore not ours.
        return None
    name, _, of_home = value.partition(":")
    return name if of_home == os.fspath(home) else None


def _children(process: psutil.Process) -> Iterable[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return ()
