"""Starts a server process, waits until it answers, and stops it."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
CORE_BIN = ROOT / ".venv" / "bin"

# MLflow is the slowest (about 10 s alone on two cores); the rest is for a busy machine.
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different free TCP ports of 127.0.0.1; separate calls could return the same port."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def random_password() -> str:
    """Return a random password."""
    return secrets.token_hex(16)


def clean_environ(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this process without its Dataflix settings, plus `extra`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
    return {**inherited, **extra}


def port_is_open(port: int) -> bool:
    """Return whether a server accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def server_process(
    command: list[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    environ: Mapping[str, str],
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends.

    Args:
        command: the program and its arguments.
        ready: returns whether the server answers.
        log: the file for its output.
        environ: its environment.
        stop_signal: the signal that stops it.

    Raises:
        RuntimeError: it died or was not ready in time; the message has the end of its log.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=dict(environ))
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                state = "died" if process.poll() is not None else "was not ready in time"
                raise RuntimeError(f"{command[0]} {state}:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop_signal)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
