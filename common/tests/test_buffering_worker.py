"""gunicorn with our worker and a small application, attacked by slow clients."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import pytest

from dataflix_common import buffered_connection as limits
from dataflix_common import buffering_worker as worker
from dataflix_testkit import free_port

THREADS = 2
# More than all threads of the server, several times over.
HELD = 12
# The time limits are seen by a sweep, and the machine may be busy.
LATE_S = 6

APPLICATION = """
import time

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.3)
    answer = b"x" * 8_000_000 if path == "/large" else path.encode() + b":" + body
    headers = [("Content-Type", "text/plain")]
    if path != "/pieces":
        headers.append(("Content-Length", str(len(answer))))
    start_response("200 OK", headers)
    if path == "/refuse":
        raise OSError("no space")
    if path == "/fail":
        return failing()
    return [bytes([byte]) for byte in answer] if path == "/pieces" else [answer]

def failing():
    yield b"/fai"
    raise RuntimeError("in the middle")
"""


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def connect(self, sent: bytes = b"", timeout: float = 60) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        client.sendall(sent)
        return client

    def ask(self, path: str = "/ask", body: bytes | None = None, timeout: float = 10) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("POST" if body is not None else "GET", path, body)
            return connection.getresponse().read()


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    (folder / "tiny.py").write_text(APPLICATION)
    port = free_port()
    class_name = "dataflix_common.buffering_worker.BufferingWorker"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", str(THREADS)]
    command += ["--worker-class", class_name, "--keep-alive", "2", "--no-sendfile"]
    command += ["--no-control-socket", *options, "tiny"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(folder)}
        )
    server = Server(port, process, folder / "log")
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline, server.log.read_text()
            try:
                server.ask()
                break
            except OSError:
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def received_until_end(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            got += piece
    return got


def answers_in(received: bytes) -> int:
    return len(re.findall(rb"HTTP/1\.[01] \d{3} ", received))


HALF_REQUESTS = {
    "silence": b"",
    "half line": b"GET /heal",
    "half head": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "half body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
    "half chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "huge chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\nabc",
    "half chunk size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFF",
    "half trailer": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n",
    "second half head": b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT",
    "waits for 100": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("sent", HALF_REQUESTS.values(), ids=list(HALF_REQUESTS))
def test_half_requests_hold_no_thread_and_end(server: Server, sent: bytes) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect(sent)) for _ in range(HELD)]
        began = time.monotonic()
        assert server.ask() == b"/ask:"
        assert time.monotonic() - began < 2
        ends = [received_until_end(client) for client in held]
        assert time.monotonic() - began < limits.IDLE_TIMEOUT_S + limits.LINGER_S + LATE_S
    if sent:
        assert all(b"HTTP/1.1 408 Request Timeout" in end for end in ends), ends[0]
        assert all(b"application/problem+json" in end for end in ends)


@pytest.mark.parametrize(
    ("beginning", "limit_s"),
    [
        (b"GET / HTTP/1.1\r\na: ", limits.HEAD_TIMEOUT_S),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n", limits.BODY_TIMEOUT_S),
    ],
    ids=["head", "body"],
)
def test_a_request_that_drips_ends_after_its_whole_time(
    server: Server, beginning: bytes, limit_s: float
) -> None:
    with server.connect(beginning) as client:
        began = time.monotonic()
        client.settimeout(0.5)
        got = b""
        while not got:
            assert time.monotonic() - began < limit_s + LATE_S
            client.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                got = client.recv(65536)
    assert b" 408 " in got
    assert time.monotonic() - began > limit_s - 1


def test_answers_that_nobody_reads_hold_no_thread(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(HELD):
            client = stack.enter_context(server.connect(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 5))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(5):
            began = time.monotonic()
            assert server.ask() == b"/ask:"
            assert time.monotonic() - began < 5


def test_a_slow_reader_gets_the_whole_large_answer(server: Server) -> None:
    with server.connect(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
        got = 0
        pause = 0.05
        while piece := client.recv(200_000):
            got += len(piece)
            time.sleep(pause)
    assert got > 8_000_000


def test_one_address_has_a_limited_number_of_connections(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(server.connect(b"GET / HTTP/1.1\r\n"))
            for _ in range(worker.MAX_CONNECTIONS_PER_ADDRESS + 50)
        ]
        assert server.ask() == b"/ask:"
        # The oldest ones ended, so somebody who asks behind the same address is still answered.
        for client in held[:50]:
            client.settimeout(1)
            assert received_until_end(client) == b""


def test_connections_that_do_not_read_have_the_same_limit(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(worker.MAX_CONNECTIONS_PER_ADDRESS + 20):
            client = stack.enter_context(server.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        # The workers make a GB of answers first, and the machine may be busy.
        assert server.ask(timeout=60) == b"/ask:"
        assert connections_of(server) <= worker.MAX_CONNECTIONS_PER_ADDRESS + 1


def test_all_addresses_together_have_a_limit(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(worker.MAX_CONNECTIONS + 100):
            # Linux has all of 127.0.0.0/8.
            source = (f"127.0.1.{1 + number % 12}", 0)
            client = socket.create_connection(("127.0.0.1", server.port), 60, source_address=source)
            stack.enter_context(client).sendall(b"GET / HTTP/1.1\r\n")
        assert server.ask() == b"/ask:"
        assert connections_of(server) <= worker.MAX_CONNECTIONS + 1


def connections_of(server: Server) -> int:
    """Count the open sockets of the workers that have a peer."""
    port = f"{server.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = "01"
    return sum(row[1].endswith(f":{port}") and row[3] == established for row in rows)


def test_requests_in_one_piece_are_answered_in_order(server: Server) -> None:
    first = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    second = (
        b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
    )
    third = b"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with server.connect(first + second + third) as client:
        got = received_until_end(client)
    assert [part.rpartition(b"\r\n\r\n")[2][:6] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"/1:abc",
        b"/2:def",
        b"/3:",
    ]


def test_empty_lines_between_requests_are_no_requests(server: Server) -> None:
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n"
    with server.connect(b"\r\n" + request + b"\r\n" + request) as client:
        got = received_until_end(client)
    assert got.count(b"/x:abc") == got.count(b"HTTP/1.1 ") == 2


BODIES = {
    "length": b"Content-Length: 3\r\n\r\nabc",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;d=e\r\nbc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_request_may_come_in_single_bytes(server: Server, body: bytes) -> None:
    with server.connect() as client:
        for byte in b"\r\nPOST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + body:
            client.sendall(bytes([byte]))
            time.sleep(0.002)
        assert received_until_end(client).endswith(b"/x:abc")


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_client_that_asks_for_100_gets_it_once(server: Server, body: bytes) -> None:
    framing, _, content = body.partition(b"\r\n\r\n")
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"
    with server.connect(head + framing + b"\r\n\r\n") as client:
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(content)
        got = received_until_end(client)
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert got.endswith(b"/x:abc")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 40_000,
        b"GET / HTTP/1.1\r\na: " + b"x" * 40_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"F" * 1000 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\n",
    ],
    ids=[
        *("line", "header", "digits", "negative chunk", "no line end", "two lengths", "negative length"),
        *("TLS", "LF first"),
    ],
)
def test_what_can_never_be_a_request_is_refused_at_once(server: Server, sent: bytes) -> None:
    with server.connect(sent, timeout=3) as client:
        assert received_until_end(client).startswith(b"HTTP/1.1 400 Bad Request")


SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# What a proxy in front may take for one request, and we for two, or the other way round.
AMBIGUOUS = {
    "LF ends the head": b"GET /first HTTP/1.1\nHost: a\n\n" + SECOND,
    "LF in a header": b"GET /first HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\n" + SECOND,
    "LF ends the head of a body": b"POST /first HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc" + SECOND,
    "LF in the address": b"GET /first\n HTTP/1.1\r\nHost: a\r\n\r\n" + SECOND,
    "CR in the address": b"GET /first\r HTTP/1.1\r\nHost: a\r\n\r\n" + SECOND,
    "zero in the address": b"GET /first\0 HTTP/1.1\r\nHost: a\r\n\r\n" + SECOND,
    "CR in a header": b"GET /first HTTP/1.1\r\nHost: a\rContent-Length: 5\r\n\r\n" + SECOND,
    "zero in a header": b"GET /first HTTP/1.1\r\nHost: a\r\nb: \0\r\n\r\n" + SECOND,
    "folded header": b"GET /first HTTP/1.1\r\nHost: a\r\nb: c\r\n d: e\r\n\r\n" + SECOND,
    "blank before colon": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc" + SECOND,
    "no host": b"GET /first HTTP/1.1\r\n\r\n" + SECOND,
    "two hosts": b"GET /first HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + SECOND,
    "other version": b"GET /first HTTP/2.0\r\nHost: a\r\n\r\n" + SECOND,
    "length and chunks": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunks of HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + SECOND,
    "twice chunked": CHUNKED.replace(b"chunked", b"chunked, chunked") + b"0\r\n\r\n" + SECOND,
    "two codings": CHUNKED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: identity\r\n\r\n")
    + b"0\r\n\r\n"
    + SECOND,
    "identity": CHUNKED.replace(b"chunked", b"identity\r\nContent-Length: 3") + b"abc" + SECOND,
    "gzip": CHUNKED.replace(b"chunked", b"gzip") + SECOND,
    "gzip, chunked": CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n" + SECOND,
    "blank that is none": CHUNKED.replace(b"chunked", b"\xa0chunked") + b"0\r\n\r\n" + SECOND,
    "vertical tab": CHUNKED.replace(b"chunked", b"\x0bchunked") + b"0\r\n\r\n" + SECOND,
    "length with sign": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc" + SECOND,
    "length with blank": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0 3\r\n\r\nabc" + SECOND,
    "other digits": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: \xb3\r\n\r\nabc" + SECOND,
    "no length": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n" + SECOND,
    "list of lengths": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc" + SECOND,
    "chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n" + SECOND,
    "chunk size with blank": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n" + SECOND,
    "LF after a chunk": CHUNKED + b"3\r\nabc\n0\r\n\r\n" + SECOND,
    "LF after a size": CHUNKED + b"3\nabc\r\n0\r\n\r\n" + SECOND,
    "LF in an extension": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n" + SECOND,
    "LF at the end": CHUNKED + b"0\r\n\n" + SECOND,
    "LF after a trailer": CHUNKED + b"0\r\na: b\n\n" + SECOND,
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=list(AMBIGUOUS))
def test_what_others_may_read_differently_is_refused_and_ends(server: Server, sent: bytes) -> None:
    with server.connect(sent, timeout=8) as client:
        got = received_until_end(client)
    assert got.startswith(b"HTTP/1.1 400 Bad Request")
    assert answers_in(got) == 1
    # The same in two pieces, which the loop sees one after the other.
    for cut in (len(sent) - len(SECOND) - 2, len(sent) - len(SECOND)):
        with server.connect(sent[:cut], timeout=8) as client:
            time.sleep(0.02)
            with contextlib.suppress(OSError):
                client.sendall(sent[cut:])
            got = received_until_end(client)
        assert b"200 OK" not in got
        assert answers_in(got) <= 1


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n",
        CHUNKED + b"FFFFFFF\r\n" + b"x" * (limits.MAX_BODY_BYTES + 1),
        CHUNKED + b"1\r\nx\r\n" * (limits.MAX_CHUNKS + 1),
    ],
    ids=["length", "expects 100", "one chunk", "many chunks"],
)
def test_a_body_beyond_every_limit_is_not_read(server: Server, sent: bytes) -> None:
    with server.connect(sent, timeout=5) as client:
        got = received_until_end(client)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"/x:" not in got


@pytest.mark.parametrize("path", ["/fail", "/refuse"])
def test_an_application_that_fails_gives_one_answer(server: Server, path: str) -> None:
    with server.connect(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + SECOND) as client:
        got = received_until_end(client)
    assert got.startswith(b"HTTP/1.1 500 Internal Server Error")
    assert answers_in(got) == 1
    assert b"/fai" not in got


def test_other_forms_of_requests(server: Server) -> None:
    with server.connect(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" + SECOND) as client:
        client.shutdown(socket.SHUT_WR)
        got = received_until_end(client)
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert b"/x:" not in got
    assert got.endswith(b"/second:")
    with server.connect(b"GET /old HTTP/1.0\r\n\r\n" + SECOND) as client:
        got = received_until_end(client)
    assert got.startswith(b"HTTP/1.0 200 OK")
    assert got.endswith(b"/old:")
    with server.connect(b"GET /pieces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
        got = received_until_end(client)
    assert b"Transfer-Encoding: chunked" in got
    assert got.endswith(b"1\r\n:\r\n0\r\n\r\n")
    trailer = CHUNKED + b"3;a=b\r\nabc\r\n0\r\nc: d\r\n\r\n" + SECOND
    with server.connect(trailer) as client:
        client.shutdown(socket.SHUT_WR)
        got = received_until_end(client)
    assert b"/first:abc" in got
    assert got.endswith(b"/second:")


def test_an_address_may_hold_letters_as_curl_sends_them(server: Server) -> None:
    with server.connect("GET /Amélie HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()) as client:
        assert received_until_end(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("setting", [("is_ssl", True), ("sendfile", None), ("proxy_protocol", "v1")])
def test_a_configuration_that_would_read_past_the_loop_is_refused(setting: tuple[str, object]) -> None:
    settings = {"is_ssl": False, "protocol": "http", "proxy_protocol": "off", "sendfile": False}
    worker.BufferingWorker.check_config(SimpleNamespace(**settings), None)
    with pytest.raises(ValueError, match="this worker"):
        worker.BufferingWorker.check_config(SimpleNamespace(**settings | dict([setting])), None)


def test_reload_and_recycling_lose_no_request(tmp_path: Path) -> None:
    failures: list[str] = []
    stop = threading.Event()
    with serving(tmp_path, "--workers", "2", "--max-requests", "10", "--graceful-timeout", "15") as running:

        def ask_on() -> None:
            while not stop.is_set():
                try:
                    answer = running.ask("/slow", b"abc")
                    if answer != b"/slow:abc":
                        failures.append(repr(answer))
                except OSError as error:
                    failures.append(repr(error))

        askers = [threading.Thread(target=ask_on) for _ in range(4)]
        for asker in askers:
            asker.start()
        for _ in range(3):
            time.sleep(3)
            running.process.send_signal(signal.SIGHUP)
        time.sleep(3)
        stop.set()
        for asker in askers:
            asker.join()
        log = running.log.read_text()
    assert failures == []
    assert "Autorestarting worker" in log
    assert log.count("Handling signal: hup") == 3


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.7", 1234), "192.0.2.7"),
        (("2001:db8:1:2:3::9", 1234, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1234, 0, 2), "fe80::/64"),
        (("::ffff:192.0.2.7", 1234, 0, 0), "192.0.2.7"),
        ("", ""),
    ],
)
def test_all_addresses_that_a_client_may_take_count_as_one(client: object, address: str) -> None:
    assert limits.address_of(client) == address
