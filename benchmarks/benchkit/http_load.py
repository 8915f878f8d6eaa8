"""Load on an HTTP server: by wrk where it is installed, else by a client of our own over plain sockets."""

import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

_HEADER_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK = range(200, 300)
ANSWER_TIMEOUT_S = 30.0
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass
class LoadResult:
    """The result of a load.

    Attributes:
        seconds: How long the load took.
        count: Requests answered with 2xx.
        failed: Other answers, and connections that broke.
        p50_ms: Median latency.
        p99_ms: 99th percentile of the latency.
        bodies: The bodies of the answers, when they are kept.
    """

    seconds: float
    count: int
    failed: int
    p50_ms: float
    p99_ms: float
    bodies: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """LoadResult per second."""
        return self.count / self.seconds


def client_name() -> str:
    """Return the name of the client that loads the server."""
    return "wrk" if shutil.which("wrk") else "our own client"


def run_load(
    port: int, paths: Sequence[str], headers: dict[str, str], *, concurrency: int, seconds: float
) -> LoadResult:
    """Request the paths in turn over ``concurrency`` connections, one request at a time on each."""
    if shutil.which("wrk"):
        return _wrk(port, paths, headers, concurrency, seconds)
    return python_client(port, paths, headers, concurrency=concurrency, seconds=seconds)


@dataclass
class _Connection:
    socket: socket.socket
    begun: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def complete_answer(self) -> bytes | None:
        """Return the answer, None while it is incomplete."""
        end = self.received.find(_HEADER_END)
        if end < 0:
            return None
        length = _LENGTH.search(self.received, 0, end)
        if length is None:
            raise ValueError("the answer has no Content-Length")
        size = end + len(_HEADER_END) + int(length[1])
        return bytes(self.received) if len(self.received) >= size else None


def python_client(
    port: int,
    paths: Sequence[str],
    headers: dict[str, str],
    *,
    concurrency: int,
    seconds: float,
    keep_bodies: bool = False,
) -> LoadResult:
    """Load the server from this thread. A broken connection or an answer other than 2xx counts as failed."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "benchmark", **headers}.items())
    requests = cycle([f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode() for path in paths])
    latencies: list[float] = []
    bodies: list[bytes] = []
    failed = 0
    with selectors.DefaultSelector() as selector:

        def send(connection: _Connection) -> None:
            connection.received.clear()
            connection.begun = time.perf_counter()
            connection.socket.sendall(next(requests))

        def connect() -> None:
            connection = _Connection(socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S))
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            send(connection)

        def close(connection: _Connection) -> None:
            selector.unregister(connection.socket)
            connection.socket.close()

        for _ in range(concurrency):
            connect()
        begun = time.perf_counter()
        ends = begun + seconds
        while selector.get_map():
            ready = selector.select(ANSWER_TIMEOUT_S)
            if not ready:
                failed += len(selector.get_map())
                break
            for key, _ in ready:
                connection: _Connection = key.data
                data = connection.socket.recv(1 << 18)
                connection.received += data
                answer = connection.complete_answer()
                if answer is None and data:
                    continue
                now = time.perf_counter()
                if answer is None or int(answer[9:12]) not in _OK:
                    failed += 1
                else:
                    latencies.append(now - connection.begun)
                    if keep_bodies:
                        bodies.append(answer.partition(_HEADER_END)[2])
                # A server may close a connection after an answer; a further request on it would get none.
                is_open = answer is not None and b"\r\nconnection: close" not in answer[:1000].lower()
                if is_open and now < ends:
                    send(connection)
                    continue
                close(connection)
                if now < ends:
                    connect()
        taken = time.perf_counter() - begun
        for key in list(selector.get_map().values()):
            close(key.data)
    median, late = _percentiles(latencies)
    return LoadResult(taken, len(latencies), failed, median, late, bodies)


def _percentiles(latencies: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(latencies) or [0.0]
    median, late = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    return median * 1000, late * 1000


def _wrk(
    port: int, paths: Sequence[str], headers: dict[str, str], concurrency: int, seconds: float
) -> LoadResult:
    listed = ", ".join(f'"{path}"' for path in paths)
    script = (
        f"local paths = {{{listed}}}\nlocal at = 0\n"
        "request = function()\n  at = at % #paths + 1\n  return wrk.format(nil, paths[at])\nend\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        header_options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        size = ("-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s")
        command = [
            "wrk",
            *size,
            "--latency",
            *header_options,
            "-s",
            str(Path(file.name)),
            f"http://127.0.0.1:{port}",
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return parse_wrk(text)


def parse_wrk(text: str) -> LoadResult:
    """Parse the output of wrk.

    Raises:
        ValueError: The output has another form.
    """
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", text)
    middle, late = (re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", text) for share in (50, 99))
    if not (total and middle and late):
        raise ValueError(f"unexpected output of wrk: {text}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = sum(map(int, errors.groups())) if errors else 0
    refused = int(others[1]) if others else 0
    return LoadResult(
        float(total[2]) * _UNITS_MS[total[3]] / 1000,
        int(total[1]) - refused,
        broken + refused,
        float(middle[1]) * _UNITS_MS[middle[2]],
        float(late[1]) * _UNITS_MS[late[2]],
    )
