"""The real server: `dataflix-backend serve`, gunicorn and its workers."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from dataflix_testkit import free_port
from dataflix_testkit.process import clean_environ, server_process

from .api import API_KEY

COMMAND = Path(sys.executable).with_name("dataflix-backend")


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    log: Path
    pid: int

    def session(self) -> requests.Session:
        """Return a session that sends the key."""
        session = requests.Session()
        session.headers["X-API-Key"] = API_KEY
        return session


def environment(home: Path, postgres: Mapping[str, str], **extra: str) -> dict[str, str]:
    """Return the environment of the commands."""
    return clean_environ({**postgres, "DATAFLIX_HOME": str(home), "DATAFLIX_API_KEY": API_KEY, **extra})


@contextmanager
def serving(home: Path, postgres: Mapping[str, str], **extra: str) -> Iterator[Server]:
    """Run the server until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return requests.get(f"{url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    log = home / "backend.log"
    environ = environment(home, postgres, DATAFLIX_BACKEND_PORT=str(port), **extra)
    with server_process([os.fspath(COMMAND), "serve"], ready=ready, log=log, environ=environ) as process:
        yield Server(url, log, process.pid)
