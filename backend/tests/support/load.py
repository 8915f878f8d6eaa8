"""Clients that send requests at a bounded rate and keep all answers."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from .server import Server

# A few dozen requests a second from each client, so that each fault hits some that are being handled.
_PAUSE_S = 0.02


@dataclass(frozen=True)
class LoadAnswer:
    """One answer; status 0 when the connection failed."""

    sent_at: float
    status: int
    body: Any
    retry_after: str | None
    sent: Any = None


@dataclass
class Load:
    """Repeats each of ``calls`` in a client of its own until the block ends."""

    server: Server
    calls: dict[str, Callable[[requests.Session, str], tuple[requests.Response, Any]]]
    answers: dict[str, list[LoadAnswer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self.answers = {name: [] for name in self.calls}
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in self.calls]

    def _ask(self, name: str) -> None:
        session = self.server.session()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                answer, sent = self.calls[name](session, self.server.url)
            except requests.RequestException as error:
                self.answers[name].append(LoadAnswer(began, 0, repr(error), None))
                session.close()
            else:
                body = answer.json() if answer.content else None
                kept = LoadAnswer(began, answer.status_code, body, answer.headers.get("Retry-After"), sent)
                self.answers[name].append(kept)
            time.sleep(_PAUSE_S)

    def wait_for(self, name: str, wanted: Callable[[LoadAnswer], bool], count: int = 1) -> None:
        """Wait until ``count`` answers from now on are as ``wanted``."""
        began, seen = time.monotonic(), 0
        while seen < count:
            assert time.monotonic() - began < 60, (
                f"{name} never answered that; last answer: {self.answers[name][-1:]}"
            )
            time.sleep(0.02)
            seen = sum(kept.sent_at > began and wanted(kept) for kept in list(self.answers[name]))

    def statuses(self) -> dict[str, set[int]]:
        """Return the statuses of the answers to each call."""
        return {name: {kept.status for kept in answers} for name, answers in self.answers.items()}

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
