"""Contexts that outlive a request: ClickHouse's HTTP sessions."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dataflix_clickhouse.contexts import Context
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused
from dataflix_clickhouse.requests import Request
from dataflix_clickhouse.users import Account

# ClickHouse's default_session_timeout and max_session_timeout.
DEFAULT_TIMEOUT_S = 60
MAX_TIMEOUT_S = 3600


@dataclass
class _Session:
    context: Context
    in_use: bool
    timeout_s: int
    expires: float = 0.0


class Sessions:
    """The open sessions, by account and session id: nobody can enter another account's.

    Opening and closing a context takes milliseconds of the engine's time: call these methods in a thread.
    """

    def __init__(self, open_context: Callable[[Account], Context]) -> None:
        self._open = open_context
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    def enter(self, account: Account, request: Request) -> Context:
        """Return the context of the request's session, or a new one when it names no session.

        Raises:
            QueryError: the session is at work for another request, or must exist already and does not.
        """
        self.close_expired()
        session_id = request.arguments.get("session_id", "")
        if not session_id:
            return self._open(account)
        timeout_s = _timeout(request.arguments.get("session_timeout"))
        must_exist = request.arguments.get("session_check") == "1"
        with self._lock:
            session = self._sessions.get((account.name, session_id))
            if session is None and must_exist:
                raise refused(ErrorCode.SESSION_NOT_FOUND, f"Session {session_id} not found.")
            if session is not None and session.in_use:
                raise refused(
                    ErrorCode.SESSION_IS_LOCKED, f"Session {session_id} is locked by a concurrent client."
                )
            if session is None:
                session = _Session(self._open(account), in_use=True, timeout_s=timeout_s)
                self._sessions[account.name, session_id] = session
            session.in_use = True
            session.timeout_s = timeout_s
            return session.context

    def leave(self, account: Account, request: Request, context: Context) -> None:
        """Give the context back."""
        session_id = request.arguments.get("session_id", "")
        if not session_id:
            context.close()
            return
        with self._lock:
            session = self._sessions[account.name, session_id]
            session.in_use = False
            session.expires = time.monotonic() + session.timeout_s

    def close_expired(self) -> None:
        """Close the sessions that nobody has used for as long as they asked to be kept."""
        now = time.monotonic()
        with self._lock:
            expired = [key for key, one in self._sessions.items() if not one.in_use and one.expires < now]
            closing = [self._sessions.pop(key) for key in expired]
        for session in closing:
            session.context.close()

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            closing = list(self._sessions.values())
            self._sessions.clear()
        for session in closing:
            session.context.close()


def _timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT_S
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_TIMEOUT_S:
        raise refused(
            ErrorCode.BAD_ARGUMENTS,
            f"Invalid session timeout {text!r}: it must be 1 to {MAX_TIMEOUT_S} seconds.",
        )
    return int(text)
