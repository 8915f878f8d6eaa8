"""A gunicorn worker whose threads never wait for a client.

The worker's loop reads a whole request, then a thread runs the application on it, then the loop sends the
answer. So a client that is slow, or silent, costs a socket and some memory, never a thread. gunicorn's own
threaded worker reads and sends in its threads, so a few half requests stop it. granian 2.8 reads heads
outside its threads, but eight half bodies stopped four threads of it; waitress 3 has one process. Neither
has a limit for each address, nor a time limit for a whole request. h11 finds where a request with a body
ends; gunicorn parses it.

Needs gunicorn and h11, which the packages that serve depend on.
"""

import errno
import ipaddress
import json
import logging
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Literal

import h11
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from dataflix_common.problem import MEDIA_TYPE, problem_details

# gunicorn's limits allow more only for many long headers at once, which no client of ours sends.
MAX_HEAD_BYTES = 32 * 1024
# Above every application's own limit, so that the application answers 413 in its own words.
MAX_BODY_BYTES = 96 * 1024
# A request of 64 KiB arrives in this time even at 5 KB/s.
HEAD_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 20.0
# The longest pause inside a request, and inside the reading of an answer.
IDLE_TIMEOUT_S = 5.0
# The longest answer, an export of some MB, arrives in this time at 50 KB/s.
SEND_TIMEOUT_S = 60.0
# How long a closed connection may still send: closing at once could destroy the last answer on its way.
LINGER_S = 1.0
# Many people may share an address behind a proxy. Of more connections, the one that waits longest ends.
MAX_CONNECTIONS_PER_ADDRESS = 100
# Well below the usual limit of 1,024 open files.
MAX_CONNECTIONS = 500
# How late an expired connection may be noticed.
_SWEEP_EVERY_S = 0.25
_RECEIVE_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"

_State = Literal["idle", "head", "body", "running", "sending", "closing"]
# Here nothing is in progress that the server has begun.
_WAITING: tuple[_State, ...] = ("idle", "head", "body", "closing")

_log = logging.getLogger(__name__)


class RequestTimeoutError(ParseException):  # type: ignore[misc]  # gunicorn has no types
    """A client sends its request too slowly."""


class BadRequestError(ParseException):  # type: ignore[misc]
    """The bytes are not a request."""


class _Answer:
    """Collects what the application sends; takes the socket's place in gunicorn's code."""

    def __init__(self) -> None:
        self.content = bytearray()

    def sendall(self, data: bytes) -> None:
        self.content += data

    def send(self, data: bytes) -> int:
        """Ignore ``100 Continue``, the one thing that gunicorn sends so: the loop has sent it."""
        return len(data)

    def setblocking(self, _blocking: object) -> None:
        """Do nothing: this never blocks."""

    def shutdown(self, _how: int) -> None:
        """Do nothing: the loop closes the socket after the answer."""

    def close(self) -> None:
        """Do nothing: the loop closes the socket after the answer."""


class Connection:
    """One connection. Its attributes without docs are those that gunicorn's worker expects.

    Attributes:
        socket: the real socket; only the loop touches it.
        address: what the limit for each address counts.
        state: what the connection waits for.
        state_since: when this state began, by the monotonic clock.
        active_at: when bytes last went in or out.
        received: bytes that no request has taken yet.
        framing: reads where a request with a body ends.
        is_cut: whether the rest of the present request is not read; the connection ends after the answer.
    """

    initialized = True
    data_ready = True
    is_http2 = False

    def __init__(self, cfg: Any, client_socket: socket.socket, client: Any, server: Any) -> None:
        self.cfg, self.client, self.server = cfg, client, server
        self.socket = client_socket
        self.socket.setblocking(False)
        self.address = address_of(client)
        self.sock = _Answer()
        self.parser: Any = None
        self.received = bytearray()
        self.framing: h11.Connection | None = None
        self.framed = 0
        self.is_cut = False
        self.keep = False
        self.watched = 0
        self.enter("idle")
        self.active_at = self.state_since

    def enter(self, state: _State) -> None:
        """Change the state."""
        self.state: _State = state
        self.state_since = time.monotonic()

    def init(self) -> None:
        """Do nothing; gunicorn calls this in the thread, where it would make the parser."""

    def limit_s(self, now: float) -> float:
        """Return the time at which the connection has waited too long in its state."""
        if self.state == "idle":
            return self.state_since + max(float(self.cfg.keepalive), _SWEEP_EVERY_S)
        if self.state == "closing":
            return self.state_since + LINGER_S
        if self.state == "running":
            return now + 1
        total = {"head": HEAD_TIMEOUT_S, "body": BODY_TIMEOUT_S, "sending": SEND_TIMEOUT_S}[self.state]
        return min(self.state_since + total, self.active_at + IDLE_TIMEOUT_S)

    def next_request(self) -> bytes | None:
        """Take a whole request out of the received bytes; None while it is incomplete.

        Raises:
            ParseException: the bytes cannot become a request.
        """
        if self.framing is not None:
            return self._frame()
        end = self.received.find(_HEAD_END)
        if end < 0:
            if len(self.received) > MAX_HEAD_BYTES:
                raise _too_long(self.received)
            return None
        if end > MAX_HEAD_BYTES:
            raise _too_long(self.received)
        end += len(_HEAD_END)
        head = bytes(self.received[:end]).lower()
        if b"\ncontent-length" not in head and b"\ntransfer-encoding" not in head:
            return self._take(end)
        self.framing = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.framed = 0
        self.enter("body")
        return self._frame()

    def _frame(self) -> bytes | None:
        framing = self.framing
        if framing is None:
            raise RuntimeError("the body of a request is read before its head")
        try:
            framing.receive_data(bytes(self.received[self.framed :]))
            self.framed = len(self.received)
            while True:
                event = framing.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    break
                if isinstance(event, h11.EndOfMessage):
                    rest, _ = framing.trailing_data
                    return self._take(len(self.received) - len(rest))
                if isinstance(event, h11.Request) and _declared_length(event) > MAX_BODY_BYTES:
                    return self._cut()
        except h11.RemoteProtocolError as error:
            raise BadRequestError from error
        if len(self.received) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            return self._cut()
        if framing.they_are_waiting_for_100_continue:
            framing.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    def _take(self, length: int) -> bytes:
        request = bytes(self.received[:length])
        del self.received[:length]
        self.framing = None
        return request

    def _cut(self) -> bytes:
        self.is_cut = True
        return self._take(len(self.received))


def _declared_length(request: h11.Request) -> int:
    return next((int(value) for name, value in request.headers if name == b"content-length"), 0)


def _too_long(received: bytearray) -> ParseException:
    if b"\r\n" in received:
        return LimitRequestHeaders("the head is too long")
    return LimitRequestLine(len(received), MAX_HEAD_BYTES)


def address_of(client: Any) -> str:
    """Return what connections of one client have in common; empty for a Unix socket.

    For IPv6 it is the network of 64 bits: one machine may use all addresses of it.
    """
    host = str(client[0]) if isinstance(client, tuple) else ""
    if ":" in host:
        address = ipaddress.IPv6Address(host.partition("%")[0])
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((address, 64), strict=False))
    return host


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with all reading and sending in its loop.

    Every method but ``handle``, which the base class has, runs in the loop's thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._swept_at = 0.0

    # What gunicorn's loop calls.

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its first bytes."""
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # Otherwise this event would come again and again, and nobody could be answered.
                self._end_longest_waiting(list(self._connections))
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        connection = Connection(self.cfg, client_socket, client, listener.getsockname())
        same = [other for other in self._connections if other.address == connection.address]
        if connection.address and len(same) >= MAX_CONNECTIONS_PER_ADDRESS:
            self._end_longest_waiting(same)
        elif len(self._connections) >= MAX_CONNECTIONS:
            self._end_longest_waiting(list(self._connections))
        self.nr_conns += 1
        self._connections.add(connection)
        self._watch(connection, selectors.EVENT_READ)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, never long, so that expired connections end in between."""
        super().wait_for_and_dispatch_events(min(timeout, _SWEEP_EVERY_S))

    def murder_keepalived(self) -> None:
        """End the connections that have waited too long."""
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_EVERY_S:
            return
        self._swept_at = now
        for connection in [each for each in self._connections if each.limit_s(now) <= now]:
            if connection.state in ("head", "body"):
                self._refuse(connection, RequestTimeoutError())
            else:
                self._end(connection)

    def murder_pending(self) -> None:
        """Do nothing: ``murder_keepalived`` looks at all connections."""

    def finish_request(self, connection: Connection, future: "Future[Any]") -> None:
        """Send what a thread has answered."""
        done = not future.cancelled() and future.exception() is None
        connection.keep = done and future.result() is True and self.alive and not connection.is_cut
        self._send(connection)

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
        if connection.state == "idle":
            # Some clients send an empty line after a body (RFC 9112, section 2.2).
            while connection.received.startswith(b"\r\n"):
                del connection.received[:2]
            if connection.received:
                connection.enter("head")
        try:
            request = connection.next_request()
        except ParseException as error:
            self._refuse(connection, error)
            return
        except OSError:
            self._end(connection)
            return
        if request is None:
            self._watch(connection, selectors.EVENT_READ)
            return
        # Nothing more is read until the answer is sent, so a client can't fill the memory.
        self._watch(connection, 0)
        connection.enter("running")
        connection.sock = _Answer()
        connection.parser = RequestParser(self.cfg, [request], connection.client)
        self.enqueue_req(connection)

    def _refuse(self, connection: Connection, error: ParseException) -> None:
        connection.sock = _Answer()
        connection.keep = False
        self.handle_error(None, connection.sock, connection.client, error)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        if connection.state != "sending":
            connection.enter("sending")
            connection.active_at = connection.state_since
        content = connection.sock.content
        try:
            while content:
                sent = connection.socket.send(content)
                connection.active_at = time.monotonic()
                del content[:sent]
        except BlockingIOError:
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

    def _end_longest_waiting(self, connections: list[Connection]) -> None:
        waiting = [each for each in connections if each.state in _WAITING]
        if waiting:
            self._end(min(waiting, key=lambda each: each.state_since))

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
        return HTTPStatus.BAD_REQUEST, (
            "The request line is too long: an address and its parameters may take 4094 bytes."
        )
    if isinstance(error, LimitRequestHeaders):
        return HTTPStatus.BAD_REQUEST, "There are too many headers, or one is too long."
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
