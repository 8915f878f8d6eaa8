"""One connection of the buffering worker: reads a whole request, and sends an answer, without ever waiting.

One parser decides what a request is: gunicorn's reads the head, and says how the body is framed. h11 decodes
chunked bodies, and gunicorn sees only the result. What the two could read differently is refused: other line
ends than CR LF, other transfer codings than ``chunked``, HTTP/1.1 without a host.
"""

import ipaddress
import re
import socket
import time
from typing import Any, Literal

import h11
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

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
# How late the loop notices an expired connection.
SWEEP_EVERY_S = 0.25
_HEAD_END = b"\r\n\r\n"
# CR and LF apart from each other, and what no head may contain. Bytes above 127 stay allowed: people type
# addresses with letters of their language into curl.
_NOT_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
# What no request begins with; CR may be half of an empty line.
_NO_METHOD = re.compile(rb"[^\r!-~]")

State = Literal["idle", "head", "body", "running", "sending", "closing"]


class RequestTimeoutError(ParseException):  # type: ignore[misc]  # gunicorn has no types
    """A client sends its request too slowly."""


class BadRequestError(ParseException):  # type: ignore[misc]
    """The bytes are not a request."""


class BodyTooLargeError(ParseException):  # type: ignore[misc]
    """The body is larger than any that an application reads."""


class Answer:
    """Collects what the application sends; takes the socket's place in gunicorn's code."""

    def __init__(self) -> None:
        self.content = bytearray()

    def sendall(self, data: bytes) -> None:
        """Keep what the loop sends later."""
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
        self.sock = Answer()
        self.received = bytearray()
        self.request: Any = None
        self._chunks: _Chunks | None = None
        self._searched = 0
        self.keep = False
        self.watched = 0
        self.enter("idle")
        self.active_at = self.state_since

    def enter(self, state: State) -> None:
        """Change the state."""
        self.state: State = state
        self.state_since = time.monotonic()

    def limit_s(self, now: float) -> float:
        """Return the time at which the connection has waited too long in its state."""
        if self.state == "idle":
            return self.state_since + max(float(self.cfg.keepalive), SWEEP_EVERY_S)
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
