"""Handles that outlive a request: ClickHouse's HTTP sessions."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataflix_clickhouse.engine import Handle
from dataflix_clickhouse.errors import ErrorCode, QueryError
from dataflix_clickhouse.requests import Request

# ClickHouse's default_session_timeout and max_session_timeout.
DEFAULT_TIMEOUT_S = 60
MAX_TIMEOUT_S = 3600


@dataclass
class _Session:
    handle: Handle
    in_use: bool
    timeout_s: int
    expires: float = 0.0


class Sessions:
    """The open sessions, by user and session id: nobody can enter another user's."""

    def __init__(self, open_handle: Callable[[str], Handle]) -> None:
        self._open = open_handle
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def handle(self, user: str, request: Request) -> Iterator[Handle]:
        """Lend the request its session's handle, or one of its own when it names no session.

        Raises:
            QueryError: the session is at work for another request, or must exist already and does not.
        """
        session_id = request.arguments.get("session_id", "")
        if not session_id:
            handle = self._open(user)
            try:
                yield handle
            finally:
                handle.close()
            return
        session = self._enter((user, session_id), request)
        try:
            yield session.handle
        finally:
            with self._lock:
                session.in_use = False
                session.expires = time.monotonic() + session.timeout_s

    def _enter(self, key: tuple[str, str], request: Request) -> _Session:
        timeout_s = _timeout(request.arguments.get("session_timeout"))
        self.close_expired()
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                if request.arguments.get("session_check") == "1":
                    raise QueryError(
                        ErrorCode.SESSION_NOT_FOUND, f"Session {key[1]} not found. (SESSION_NOT_FOUND)"
                    )
                session = _Session(self._open(key[0]), in_use=True, timeout_s=timeout_s)
                self._sessions[key] = session
                return session
            if session.in_use:
                raise QueryError(
                    ErrorCode.SESSION_IS_LOCKED,
                    f"Session {key[1]} is locked by a concurrent client. (SESSION_IS_LOCKED)",
                )
            session.in_use = True
            session.timeout_s = timeout_s
            return session

    def close_expired(self) -> None:
        """Close the sessions nobody has used for as long as they asked to be kept."""
        now = time.monotonic()
        with self._lock:
            expired = [key for key, one in self._sessions.items() if not one.in_use and one.expires < now]
            closing = [self._sessions.pop(key) for key in expired]
        for session in closing:
            session.handle.close()

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            closing = list(self._sessions.values())
            self._sessions.clear()
        for session in closing:
            session.handle.close()


def _timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT_S
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_TIMEOUT_S:
        raise QueryError(
            ErrorCode.BAD_ARGUMENTS,
            f"Invalid session timeout: '{text}'; it must be from 1 to {MAX_TIMEOUT_S} seconds. (BAD_ARGUMENTS)",
        )
    return int(text)
