"""A gunicorn worker whose threads never wait for a client.

The worker's loop reads a whole request, then a thread runs the application on it, then the loop sends what
the client has not taken at once. So a client that is slow, or silent, costs a socket and some memory, never
a thread. gunicorn's own threaded worker reads and sends in its threads, so a few half requests stop it.

Libraries that were looked at: uvicorn limits neither the time of a head nor of a body, nor connections of an
address, and with a2wsgi a half body holds a thread; hypercorn limits the pause between two reads, but not a
whole request or an address; granian reads heads outside its threads, but eight half bodies stopped four
threads of it; waitress has one process, and one limit of time for everything.

One parser decides what a request is: gunicorn's reads the head, and says how the body is framed. h11 decodes
chunked bodies, and gunicorn sees only the result. What the two could read differently is refused: other line
ends than CR LF, other transfer codings than ``chunked``, HTTP/1.1 without a host.

Needs gunicorn and h11, which the packages that serve depend on. Answers are collected in memory, so it is not
for applications that stream.
"""

import contextlib
import errno
import ipaddress
import json
import logging
import re
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from http import HTTPStatus
from typing import Any, Literal

import h11
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.workers.gthread import ThreadWorker

from dataflix_common.problem import MEDIA_TYPE, problem_details

# gunicorn's limits allow more only for many long headers at once, which no client of ours sends.
MAX_HEAD_BYTES = 32 * 1024
# Above every application's own limit, so that the application answers 413 in its own words.
MAX_BODY_BYTES = 96 * 1024
# Each chunk costs the loop's time. Clients send chunks of some KB.
MAX_CHUNKS = 1000
# The longest line of a chunk's size, and all trailers together.
MAX_CHUNK_LINE_BYTES = 8 * 1024
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
# CR and LF apart from each other, and what no head may contain. Bytes above 127 stay allowed: people type
# addresses with letters of their language into curl.
_NOT_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
# What no request begins with; CR may be half of an empty line.
_NO_METHOD = re.compile(rb"[^\r!-~]")

_State = Literal["idle", "head", "body", "running", "sending", "closing"]
# In these states nothing is in progress that the server has begun.
_WAITING: tuple[_State, ...] = ("idle", "head", "body", "closing")

_log = logging.getLogger(__name__)


class RequestTimeoutError(ParseException):  # type: ignore[misc]  # gunicorn has no types
    """A client sends its request too slowly."""


class BadRequestError(ParseException):  # type: ignore[misc]
    """The bytes are not a request."""


class BodyTooLargeError(ParseException):  # type: ignore[misc]
    """The body is larger than any that an application reads."""


class _Answer:
    """Collects what the application sends; takes the socket's place in gunicorn's code."""

    def __init__(self) -> None:
        self.content = bytearray()

    def sendall(self, data: bytes) -> None:
        self.content += data

    def send(self, data: bytes) -> int:
        """Ignore ``100 Continue``, the one thing that gunicorn sends so: the loop has sent it."""
        return len(data)

    def settimeout(self, _seconds: object) -> None:
        """Do nothing: this never blocks."""

    def recv(self, _size: int) -> bytes:
        """Return the end: the loop reads the socket."""
        return b""

    def shutdown(self, _how: int) -> None:
        """Do nothing: the loop closes the socket after the answer."""

    def close(self) -> None:
        """Do nothing: the loop closes the socket after the answer."""


class _Chunks:
    """Decodes a chunked body that arrives in pieces.

    Attributes:
        content: what has been decoded.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self._tail = b""
        self._count = 0
        self._framing = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_CHUNK_LINE_BYTES)
        self._framing.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._framing.next_event()

    def rest_after(self, piece: bytes) -> bytes | None:
        """Decode a piece; return the bytes behind the body, or None while it is incomplete.

        Raises:
            BadRequestError: this is not chunked coding, or ends in a way that others may not see as an end.
            BodyTooLargeError: the content is too large, or in too many chunks.
        """
        self._framing.receive_data(piece)
        try:
            while True:
                event = self._framing.next_event()
                if isinstance(event, h11.EndOfMessage):
                    rest, _ = self._framing.trailing_data
                    received = self._tail + piece
                    if not received[: len(received) - len(rest)].endswith(_HEAD_END):
                        raise BadRequestError
                    return rest
                if not isinstance(event, h11.Data):
                    self._tail = (self._tail + piece)[-len(_HEAD_END) :]
                    return None
                self.content += event.data
                self._count += bool(event.chunk_start)
                if len(self.content) > MAX_BODY_BYTES or self._count > MAX_CHUNKS:
                    raise BodyTooLargeError
        except h11.RemoteProtocolError as error:
            raise BadRequestError from error


class Connection:
    """One connection. Its attributes without docs are those that gunicorn's worker expects.

    Attributes:
        socket: the real socket; only the loop touches it, except while the state is ``running``.
        address: what the limit for each address counts.
        state: what the connection waits for.
        state_since: when this state began, by the monotonic clock.
        active_at: when bytes last went in or out.
        received: bytes that no request has taken yet.
        request: the request whose head has arrived.
        keep: whether another request may follow the answer.
        watched: the events of the socket that the loop waits for.
    """

    def __init__(self, cfg: Any, client_socket: socket.socket, client: Any, server: Any) -> None:
        self.cfg, self.client, self.server = cfg, client, server
        self.socket = client_socket
        self.socket.setblocking(False)
        self.address = address_of(client)
        self.sock = _Answer()
        self.received = bytearray()
        self.request: Any = None
        self._chunks: _Chunks | None = None
        self._searched = 0
        self.keep = False
        self.watched = 0
        self.enter("idle")
        self.active_at = self.state_since

    def enter(self, state: _State) -> None:
        """Change the state."""
        self.state: _State = state
        self.state_since = time.monotonic()

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

    def has_request(self) -> bool:
        """Read as much of a request as has arrived; return whether it is whole.

        Raises:
            ParseException: the bytes cannot become a request.
        """
        if self.state in ("idle", "head"):
            # Some clients send an empty line after a body (RFC 9112, section 2.2).
            while self.received.startswith(b"\r\n"):
                del self.received[:2]
            if self.received and self.state == "idle":
                self.enter("head")
            if not self._has_head():
                return False
            self.enter("body")
        reader = self.request.body.reader
        if isinstance(reader, LengthReader):
            if len(self.received) < reader.length:
                return False
            content = self._take(reader.length)
        elif (unchunked := self._unchunked()) is not None:
            content = unchunked
        else:
            return False
        self.request.body = Body(LengthReader(IterUnreader([content]), len(content)))
        return True

    def _has_head(self) -> bool:
        # What came earlier is not searched again: a head may come in single bytes.
        end = self.received.find(_HEAD_END, max(0, self._searched - len(_HEAD_END)))
        self._searched = len(self.received)
        if end > MAX_HEAD_BYTES or (end < 0 and len(self.received) > MAX_HEAD_BYTES):
            raise _too_long(self.received)
        if _NO_METHOD.match(self.received):
            # TLS, for instance: waiting for more would help nobody.
            raise BadRequestError
        if end < 0:
            return False
        self._searched = 0
        head = self._take(end + len(_HEAD_END))
        if _NOT_IN_A_HEAD.search(head):
            raise BadRequestError
        try:
            request = Request(self.cfg, IterUnreader([head]), self.client)
        except (NoMoreData, StopIteration) as error:
            raise BadRequestError from error
        codings = [value for name, value in request.headers if name == "TRANSFER-ENCODING"]
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            raise BadRequestError
        if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
            raise BadRequestError
        reader = request.body.reader
        self._chunks = _Chunks() if isinstance(reader, ChunkedReader) else None
        if self._chunks is None and reader.length > MAX_BODY_BYTES:
            raise BodyTooLargeError
        self.request = request
        return True

    def _unchunked(self) -> bytes | None:
        if self._chunks is None:
            raise RuntimeError("the body of a request is read before its head")
        if not self.received:
            # To h11 an empty piece is the end of the connection.
            return None
        rest = self._chunks.rest_after(self._take(len(self.received)))
        if rest is None:
            return None
        self.received += rest
        return bytes(self._chunks.content)

    def _take(self, length: int) -> bytes:
        taken = bytes(self.received[:length])
        del self.received[:length]
        return taken

    def waits_for_100(self) -> bool:
        """Return whether the client sends no body before the server has said ``100 Continue``."""
        if self.state != "body" or self.received or not self.request._expected_100_continue:
            return False
        self.request._expected_100_continue = False  # gunicorn would send it, too
        return True

    def send(self) -> bool:
        """Send as much of the answer as the client takes; return whether that is all.

        Raises:
            OSError: the client is gone.
        """
        content = self.sock.content
        try:
            while content:
                sent = self.socket.send(content)
                self.active_at = time.monotonic()
                del content[:sent]
        except BlockingIOError:
            return False
        return True


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
        connection.sock = _Answer()
        self.enqueue_req(connection)

    def _refuse(self, connection: Connection, error: BaseException) -> None:
        # A half answer of the application is dropped: together they would be two answers to one request.
        connection.sock = _Answer()
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
