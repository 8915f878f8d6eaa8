"""ClickHouse's HTTP sessions: connections that stay open between requests."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from dataflix_clickhouse.access.accounts import MAX_SESSIONS, Account
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import query_error
from dataflix_clickhouse.queries.session_context import SessionContext
from dataflix_common.argument_types import number_in, shown

# ClickHouse's default_session_timeout and max_session_timeout.
DEFAULT_TIMEOUT_S = 60
MAX_TIMEOUT_S = 3600


@dataclass(frozen=True)
class SessionRequest:
    """What a request says about its session.

    Attributes:
        session_id: empty for a request without a session.
        timeout: seconds that the session stays open without requests, as the client sent it.
        must_exist: whether the request fails when there is no such session.
    """

    session_id: str = ""
    timeout: str | None = None
    must_exist: bool = False


@dataclass
class _Session:
    context: SessionContext
    in_use: bool
    timeout_s: int
    last_used: float = 0.0

    def is_expired(self, now: float) -> bool:
        return not self.in_use and self.last_used + self.timeout_s < now


class Sessions:
    """The open sessions, by account and session id, so that accounts cannot enter each other's sessions.

    Opening and closing a connection takes milliseconds: call these methods in a thread.
    """

    def __init__(self, open_context: Callable[[Account], SessionContext]) -> None:
        self._open_context = open_context
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    def enter(self, account: Account, request: SessionRequest) -> SessionContext:
        """Return the context of a session, or a new context for a request without a session.

        Raises:
            QueryError: another request uses the session, the session must exist and does not, the account
                has too many sessions, or the timeout is invalid.
        """
        self.close_expired()
        session_id = request.session_id
        if not session_id:
            return self._open_context(account)
        timeout_s = _timeout(request.timeout)
        with ExitStack() as closing, self._lock:
            session = self._sessions.get((account.name, session_id))
            if session is None and request.must_exist:
                raise query_error(ErrorCode.SESSION_NOT_FOUND, f"Session {session_id} not found.")
            if session is not None and session.in_use:
                raise query_error(
                    ErrorCode.SESSION_IS_LOCKED, f"Session {session_id} is locked by a concurrent client."
                )
            if session is None:
                closing.callback(self._make_room(account))
                session = _Session(self._open_context(account), in_use=True, timeout_s=timeout_s)
                self._sessions[account.name, session_id] = session
            session.in_use = True
            session.timeout_s = timeout_s
            return session.context

    def _make_room(self, account: Account) -> Callable[[], None]:
        """Take out an idle session if the account has as many as it may.

        Only a session that no statement has changed: its client notices nothing, for the next request opens
        it again.

        Returns:
            Closes the connection of that session.
        """
        own = {key: one for key, one in self._sessions.items() if key[0] == account.name}
        if len(own) < MAX_SESSIONS:
            return lambda: None
        idle = [key for key, one in own.items() if not one.in_use and not one.context.is_changed]
        if not idle:
            raise query_error(
                ErrorCode.USER_SESSION_LIMIT_EXCEEDED,
                f"Too many sessions of user {account.name}. Maximum: {MAX_SESSIONS}. "
                "Use fewer, or wait until some of them end (session_timeout).",
            )
        oldest = min(idle, key=lambda key: own[key].last_used)
        return self._sessions.pop(oldest).context.close

    def leave(self, account: Account, request: SessionRequest, context: SessionContext) -> None:
        """Release the context after its request."""
        if not request.session_id:
            context.close()
            return
        with self._lock:
            session = self._sessions[account.name, request.session_id]
            session.in_use = False
            session.last_used = time.monotonic()

    def close_expired(self) -> None:
        """Close the sessions whose timeout is over."""
        now = time.monotonic()
        with self._lock:
            expired = [key for key, one in self._sessions.items() if one.is_expired(now)]
            closing = [self._sessions.pop(key) for key in expired]
        for session in closing:
            session.context.close()

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            closing = list(self._sessions.values())
            self._sessions.clear()
        for session in closing:
            session.context.close()


def _timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT_S
    timeout = number_in(text, 1, MAX_TIMEOUT_S)
    if timeout is None:
        raise query_error(
            ErrorCode.BAD_ARGUMENTS,
            f"Invalid session timeout {shown(text)}: it must be 1 to {MAX_TIMEOUT_S} seconds.",
        )
    return timeout
