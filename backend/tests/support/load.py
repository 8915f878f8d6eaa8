"""Clients that ask at a bounded rate and keep every answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from .server import Server

# A few dozen requests a second from each client: enough that each fault meets some on their way.
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Told:
    """One answer; status 0 when the connection failed."""

    sent_at: float
    status: int
    body: Any
    retry_after: str | None
    sent: Any = None


@dataclass
class Load:
    """Each of ``calls`` is made again and again by a client of its own until the block ends."""

    server: Server
    calls: dict[str, Callable[[requests.Session, str], tuple[requests.Response, Any]]]
    told: dict[str, list[Told]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self.told = {name: [] for name in self.calls}
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in self.calls]

    def _ask(self, name: str) -> None:
        session = self.server.session()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                answer, sent = self.calls[name](session, self.server.url)
            except requests.RequestException as error:
                self.told[name].append(Told(began, 0, repr(error), None))
                session.close()
            else:
                body = answer.json() if answer.content else None
                told = Told(began, answer.status_code, body, answer.headers.get("Retry-After"), sent)
                self.told[name].append(told)
            time.sleep(_PAUSE_S)

    def wait_for(self, name: str, wanted: Callable[[Told], bool], count: int = 1) -> None:
        """Wait until so many answers, given from now on, are as wanted."""
        began, seen = time.monotonic(), 0
        while seen < count:
            assert time.monotonic() - began < 60, f"{name} never answered so; at last: {self.told[name][-1:]}"
            time.sleep(0.02)
            seen = sum(told.sent_at > began and wanted(told) for told in list(self.told[name]))

    def statuses(self) -> dict[str, set[int]]:
        """Return which statuses each call was answered with."""
        return {name: {told.status for told in answers} for name, answers in self.told.items()}

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
