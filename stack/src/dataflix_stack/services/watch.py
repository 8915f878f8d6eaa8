"""Notices a service that keeps dying, or that hangs, while something else is waited for."""

import time
from collections import defaultdict

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.services.registry import SERVICES
from dataflix_stack.services.startup import MAX_STARTS, is_healthy
from dataflix_stack.services.supervisor import Supervisor

# A service that died once an hour is no reason to end a run that works otherwise.
_WINDOW_S = 600
# A check asks each service once, and they share the cores with the work that is waited for.
_HEALTH_INTERVAL_S = 15
# A service may be too busy to answer, but not for so long.
_MAX_UNHEALTHY_S = 600


class ServiceWatch:
    """Watches all services that the pipeline needs.

    Args:
        settings: the stack's settings.
        supervisor: of the running stack.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._services = [service for service in SERVICES if not service.in_background]
        # Process ids of each service, and when each was seen first.
        self._pids: dict[str, dict[int, float]] = defaultdict(dict)
        self._healthy_at = {service.name: time.monotonic() for service in self._services}
        self._health_checked_at = time.monotonic()

    def check(self) -> None:
        """Look at the services; to be called about once a second.

        Raises:
            StackError: a service keeps dying, has given up, or was not healthy for minutes; the message has
                the end of its log. Or the supervisor has ended.
        """
        now = time.monotonic()
        programs = {program.name: program for program in self._supervisor.programs()}
        for service in self._services:
            program = programs.get(service.name)
            # An older version may have started services without this one.
            if program is None:
                continue
            if program.state == "FATAL":
                raise self._error(service.name, "keeps dying")
            if program.pid:
                self._pids[service.name].setdefault(program.pid, now)
            recent = [seen for seen in self._pids[service.name].values() if now - seen < _WINDOW_S]
            if len(recent) > MAX_STARTS:
                raise self._error(service.name, "keeps dying")
        if now - self._health_checked_at >= _HEALTH_INTERVAL_S:
            self._check_health()

    def _check_health(self) -> None:
        for service in self._services:
            if is_healthy(service, self._settings):
                self._healthy_at[service.name] = time.monotonic()
        self._health_checked_at = time.monotonic()
        for name, healthy_at in self._healthy_at.items():
            if self._health_checked_at - healthy_at > _MAX_UNHEALTHY_S:
                raise self._error(name, f"was not healthy for {_MAX_UNHEALTHY_S} s")

    def _error(self, name: str, what: str) -> StackError:
        log = self._settings.logs / f"{name}.log"
        return StackError(f"{name} {what}. The end of {log}:\n{self._supervisor.log_tail(name)}")
