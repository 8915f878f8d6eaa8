"""A gunicorn worker whose threads never wait for a client.

The worker's loop reads a whole request, then a thread runs the application on it, then the loop sends what
the client has not taken at once. So a client that is slow, or silent, costs a socket and some memory, never
a thread. gunicorn's own threaded worker reads and sends in its threads, so a few half requests stop it.

Libraries that were looked at: uvicorn limits neither the time of a head nor of a body, nor connections of an
address, and with a2wsgi a half body holds a thread; hypercorn limits the pause between two reads, but not a
whole request or an address; granian reads heads outside its threads, but eight half bodies stopped four
threads of it; waitress has one process, and one limit of time for everything.

Needs gunicorn and h11, which the packages that serve depend on. Answers are collected in memory, so it is not
for applications that stream.
"""

import contextlib
import errno
import json
import logging
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from dataflix_common.buffered_connection import (
    MAX_BODY_BYTES,
    MAX_CHUNKS,
    SWEEP_EVERY_S,
    Answer,
    BodyTooLargeError,
    Connection,
    RequestTimeoutError,
    State,
)
from dataflix_common.problem import MEDIA_TYPE, problem_details

# Many people may share an address behind a proxy. Of more connections, the one that waits longest ends.
MAX_CONNECTIONS_PER_ADDRESS = 100
# Well below the usual limit of 1,024 open files.
MAX_CONNECTIONS = 500
_RECEIVE_BYTES = 64 * 1024
# In these states nothing is in progress that the server has begun.
_WAITING: tuple[State, ...] = ("idle", "head", "body", "closing")

_log = logging.getLogger(__name__)


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with all reading in its loop.

    Every method but ``handle`` runs in the loop's thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._swept_at = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what would read or write past the loop.

        Raises:
            ValueError: the configuration has TLS, another protocol, or sends files itself.
        """
        if cfg.is_ssl or cfg.protocol != "http" or cfg.proxy_protocol != "off":
            raise ValueError("this worker speaks plain HTTP; put a proxy with TLS in front of it")
        if cfg.sendfile is not False:
            raise ValueError("set sendfile to False: this worker's loop sends all answers")

    # What gunicorn's loop calls.

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its first bytes."""
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                # Otherwise this event would come again and again, and nobody could be answered.
                self._end_one(list(self._connections))
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        connection = Connection(self.cfg, client_socket, client, listener.getsockname())
        same = [other for other in self._connections if other.address == connection.address]
        full = []
        if connection.address and len(same) >= MAX_CONNECTIONS_PER_ADDRESS:
            full = same
        elif len(self._connections) >= MAX_CONNECTIONS:
            full = list(self._connections)
        if full and not self._end_one(full):
            # Each of them has a request that the application works on.
            client_socket.close()
            return
        self.nr_conns += 1
        self._connections.add(connection)
        self._watch(connection, selectors.EVENT_READ)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, never long, so that expired connections end in between."""
        super().wait_for_and_dispatch_events(min(timeout, SWEEP_EVERY_S))

    def murder_keepalived(self) -> None:
        """End the connections that have waited too long."""
        now = time.monotonic()
        if now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        for connection in [each for each in self._connections if each.limit_s(now) <= now]:
            if connection.state in ("head", "body"):
                self._refuse(connection, RequestTimeoutError())
            else:
                self._end(connection)

    def murder_pending(self) -> None:
        """Do nothing: ``murder_keepalived`` looks at all connections."""

    def handle(self, connection: Connection) -> bool:
        """Run the application in a thread; return whether another request may follow.

        It also sends what the client takes at once, which saves waiting for the loop's turn.
        """
        connection.keep = bool(self.handle_request(connection.request, connection)) and self.alive
        connection.active_at = time.monotonic()
        # A client that is gone is the loop's business: it sends again and meets the same error.
        with contextlib.suppress(OSError):
            connection.send()
        return connection.keep

    def finish_request(self, connection: Connection, future: "Future[Any]") -> None:
        """Send the rest of what a thread has answered."""
        self._call(lambda _: self._finish(connection, future), connection)

    def _finish(self, connection: Connection, future: "Future[Any]") -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._send(connection)
        else:
            self._refuse(connection, error)

    # What a request goes through.

    def _on_readable(self, connection: Connection) -> None:
        try:
            piece = connection.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._end(connection)
            return
        if not piece:
            self._end(connection)
            return
        if connection.state == "closing":
            return
        connection.active_at = time.monotonic()
        connection.received += piece
        self._read_request(connection)

    def _read_request(self, connection: Connection) -> None:
        try:
            if not connection.has_request():
                if connection.waits_for_100():
                    connection.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._watch(connection, selectors.EVENT_READ)
                return
        except ParseException as error:
            self._refuse(connection, error)
            return
        except OSError:
            self._end(connection)
            return
        # Nothing more is read until the answer is sent, so a client can't fill the memory.
        self._watch(connection, 0)
        connection.enter("running")
        connection.sock = Answer()
        self.enqueue_req(connection)

    def _refuse(self, connection: Connection, error: BaseException) -> None:
        # A half answer of the application is dropped: together they would be two answers to one request.
        connection.sock = Answer()
        connection.keep = False
        self.handle_error(None, connection.sock, connection.client, error)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        if connection.state != "sending":
            connection.enter("sending")
            connection.active_at = connection.state_since
        try:
            if not connection.send():
                self._watch(connection, selectors.EVENT_WRITE)
                return
        except OSError:
            self._end(connection)
            return
        if connection.keep:
            connection.enter("idle")
            self._read_request(connection)
            return
        connection.enter("closing")
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(connection)
            return
        self._watch(connection, selectors.EVENT_READ)

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if not events:
            self.poller.unregister(connection.socket)
        else:
            call = self._on_readable if events == selectors.EVENT_READ else self._send
            change = self.poller.modify if connection.watched else self.poller.register
            change(connection.socket, events, lambda _socket: self._call(call, connection))
        connection.watched = events

    def _call(self, call: Callable[[Connection], None], connection: Connection) -> None:
        try:
            call(connection)
        except Exception:  # noqa: BLE001 - logged in full
            # One connection must not end the worker, and with it all others.
            _log.exception("connection failed")
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        if connection not in self._connections:
            # An earlier event of the same round ended it.
            return
        self._watch(connection, 0)
        self._connections.discard(connection)
        self.nr_conns -= 1
        connection.socket.close()

    def _end_one(self, connections: list[Connection]) -> bool:
        """End the connection that has waited longest for its client; return whether there is one."""
        waiting = [each for each in connections if each.state in _WAITING]
        # Clients that do not read their answers do not keep others out, either.
        waiting = waiting or [each for each in connections if each.state == "sending"]
        if waiting:
            self._end(min(waiting, key=lambda each: each.state_since))
        return bool(waiting)

    # Refusals.

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that does not reach the application, or that failed outside of it, with a problem.

        gunicorn would answer HTML and log the request line, which may hold personal values.
        """
        status, detail = refusal(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request failed", exc_info=exc)
        else:
            _log.warning("request not understood: %s", type(exc).__name__)
        body = json.dumps(problem_details(status, detail)).encode()
        client.sendall(refusal_head(status, len(body)) + body)


def refusal(error: BaseException) -> tuple[HTTPStatus, str]:
    """Return status and detail of the answer to a request that does not reach the application."""
    if isinstance(error, RequestTimeoutError):
        return HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time; send it again, all at once."
    if isinstance(error, LimitRequestLine):
        # One of gunicorn's parsers does not say the limit.
        limit = f": an address and its parameters may take {error.max_size} bytes" if error.max_size else ""
        return HTTPStatus.BAD_REQUEST, f"The request line is too long{limit}."
    if isinstance(error, LimitRequestHeaders):
        return HTTPStatus.BAD_REQUEST, "There are too many headers, or one is too long."
    if isinstance(error, BodyTooLargeError):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (
            f"The body is larger than {MAX_BODY_BYTES // 1024} KiB, or in more than {MAX_CHUNKS} chunks."
        )
    if isinstance(error, ParseException):
        return HTTPStatus.BAD_REQUEST, "This is not a valid HTTP/1.1 request."
    return HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; the log says what."


def refusal_head(status: HTTPStatus, length: int, **headers: str) -> bytes:
    """Return the head of an answer with a problem as its body; ``_`` in a header's name means ``-``."""
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        f"Content-Type: {MEDIA_TYPE}",
        "X-Content-Type-Options: nosniff",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        f"Content-Length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
