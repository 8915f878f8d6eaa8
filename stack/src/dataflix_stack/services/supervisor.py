"""Starts, stops and queries supervisord."""

import configparser
import http.client
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from dataflix_common.files import replace_file
from dataflix_stack.config.private_files import UMASK
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.short_path import short_home
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.services import leftovers
from dataflix_stack.services.registry import SERVICES, Service

_START_TIMEOUT_S = 20
# Every call answers at once: none waits for a program.
_ANSWER_TIMEOUT_S = 30
# More than the longest stop of one service (stopwaitsecs).
_STOP_TIMEOUT_S = 90


# supervisord's fault code for a program that its configuration does not have.
_UNKNOWN_NAME = 10


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        path = self._path

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(_ANSWER_TIMEOUT_S)
                self.sock.connect(path)

        return Connection(cast("str", host))


@dataclass(frozen=True)
class Program:
    """A program as supervisord reports it; `pid` is None while it does not run."""

    name: str
    state: str
    pid: int | None


class Supervisor:
    """supervisord of one state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = settings.home / "run"
        self._pid_file = self._run / "supervisord.pid"
        self._configuration_file = self._run / "supervisord.conf"

    @property
    def socket_path(self) -> str:
        """Path of the control socket that a supervisord started now listens on."""
        return str(short_home(self._settings.home) / "run" / "supervisor.sock")

    def process(self) -> psutil.Process | None:
        """Return the running supervisord, or None."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            # The file may be stale, and its process id may belong to another program by now.
            ours = "supervisord" in " ".join(process.cmdline()) and process.is_running()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None

    def is_outdated(self) -> bool:
        """Return whether another version wrote the configuration that supervisord was started with."""
        try:
            return self._configuration_file.read_text() != self._configuration()
        except FileNotFoundError:
            return True

    def start(self) -> None:
        """Start supervisord without any program, unless it runs.

        Raises:
            StackError: it did not start; the message has its output.
        """
        if self.process() is not None:
            return
        replace_file(self._configuration_file, self._configuration())
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration_file)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
        environ |= {
            "DATAFLIX_HOME": str(self._settings.home),
            "DATAFLIX_ENV_FILE": str(self._settings.env_file),
            **leftovers.mark(leftovers.SUPERVISOR, self._settings.home),
        }
        result = subprocess.run(
            command, env=environ, capture_output=True, text=True, errors="replace", check=False, umask=UMASK
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while result.returncode == 0 and time.monotonic() < deadline:
            if Path(self.socket_path).exists() and self.process() is not None:
                return
            time.sleep(0.05)
        raise StackError(
            f"The process supervisor did not start: {result.stderr.strip() or result.stdout.strip()}"
        )

    def programs(self) -> list[Program]:
        """Return all programs of the configuration that supervisord was started with.

        Raises:
            StackError: supervisord does not answer.
        """
        infos = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        return [Program(str(i["name"]), str(i["statename"]), int(i["pid"]) or None) for i in infos]

    def start_program(self, service: Service) -> None:
        """Start a program unless it runs, without waiting until it is healthy."""
        if self.state(service) not in ("RUNNING", "STARTING"):
            self._call("startProcess", service.name, False)

    def state(self, service: Service) -> str:
        """Return supervisord's state of a program: RUNNING, STARTING, BACKOFF, STOPPED, FATAL, ..."""
        return str(self._info(service)["statename"])

    def pid(self, service: Service) -> int | None:
        """Return a program's process id; None if it does not run."""
        return int(cast("int", self._info(service)["pid"])) or None

    def stop(self) -> None:
        """Stop all programs, then supervisord, and wait until they have ended.

        Raises:
            StackError: a process did not end in time.
        """
        process = self.process()
        if process is None:
            return
        # All but Postgres, where the others still write when they end. It ends with supervisord. The names
        # are supervisord's own: an older version may have started services that this one does not know.
        self.stop_programs(p.name for p in self.programs() if p.name != SERVICES[0].name)
        self._call("shutdown")
        try:
            process.wait(_STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            raise StackError(
                f"The process supervisor (pid {process.pid}) did not end within {_STOP_TIMEOUT_S} s; "
                f"see {self._settings.logs / 'supervisord.log'}."
            ) from None

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop programs and wait until they have ended; supervisord and the others go on.

        Raises:
            StackError: a program did not end in time.
        """
        wanted = set(names)
        for name in self._running(wanted):
            self._call("stopProcess", name, False)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while left := self._running(wanted):
            if time.monotonic() > deadline:
                raise StackError(
                    f"{', '.join(left)} did not end within {_STOP_TIMEOUT_S} s; see {self._settings.logs}."
                )
            time.sleep(0.1)

    def _running(self, names: Set[str]) -> list[str]:
        return [program.name for program in self.programs() if program.pid and program.name in names]

    def log_tail(self, name: str, size: int = 1500) -> str:
        """Return the last `size` characters of a program's log."""
        path = self._settings.logs / f"{name}.log"
        return path.read_text(errors="replace")[-size:].strip() if path.exists() else ""

    def _info(self, service: Service) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", self._call("getProcessInfo", service.name))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _UNKNOWN_NAME:
                raise
            raise StackError(
                f"An older version without {service.name} is running: ./stop.sh, then ./run.sh."
            ) from fault

    def _call(self, method: str, *arguments: object) -> Any:
        # The transport connects to the socket; the host in the address is never used.
        transport = _SocketTransport(self._running_socket_path())
        proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise StackError(
                f"The process supervisor does not answer ({error}). Either ./stop.sh has stopped it, or see "
                f"{self._settings.logs / 'supervisord.log'}."
            ) from error

    def _running_socket_path(self) -> str:
        # Another version may have started supervisord with its socket elsewhere.
        started_with = configparser.RawConfigParser()
        started_with.read(self._configuration_file, encoding="utf-8")
        return started_with.get("unix_http_server", "file", fallback=self.socket_path)

    def _configuration(self) -> str:
        logs = self._settings.logs
        sections = [
            f"[unix_http_server]\nfile={self.socket_path}\nchmod=0700\n",
            f"[supervisord]\nlogfile={logs / 'supervisord.log'}\npidfile={self._pid_file}\n"
            f"childlogdir={logs}\nloglevel=info\nminfds=512\numask={UMASK:03o}\n",
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        ]
        for service in SERVICES:
            group = str(service.signal_group).lower()
            sections.append(
                f"[program:{service.name}]\n"
                f'command="{sys.executable}" -m dataflix_stack.services.launch {service.name}\n'
                f"directory={ROOT}\nautostart=false\nautorestart=true\nstartsecs=1\nstartretries=5\n"
                f"stopsignal={service.stop_signal}\nstopwaitsecs=25\nstopasgroup={group}\nkillasgroup={group}\n"
                f"redirect_stderr=true\nstdout_logfile={logs / service.name}.log\n"
                "stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2\n"
            )
        return "\n".join(sections)
