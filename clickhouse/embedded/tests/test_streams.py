"""Large and incomplete bodies and results."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests
from requests.exceptions import ChunkedEncodingError

from dataflix_clickhouse.access.accounts import ADMIN
from dataflix_testkit import ClickHouseServer, clickhouse

from .support.api import Api, pieces, rows_of_csv

MIB = 1 << 20
# The allocator of the engine keeps tens of MiB for each thread, so a first body warms it up.
WARM_UP_MIB = 48
LARGE_MIB = 256
# A server that keeps the whole body in memory grows by at least LARGE_MIB.
ALLOWED_MIB = LARGE_MIB / 3
WAIT_S = 60


def until_idle(api: Api, marker: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while api.running(marker):
        assert time.monotonic() < deadline, f"{marker} is still running"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def measured() -> Iterator[ClickHouseServer]:
    """A separate server, because other tests increase the memory of the shared one."""
    with clickhouse() as running:
        yield running


def collect(answer: requests.Response, received: bytearray) -> None:
    for piece in answer.iter_content(MIB):
        received += piece


class Peak:
    """Measures how much the memory of a process grows at most while the block runs, in MiB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self.mib = 0.0

    def __enter__(self) -> "Peak":
        self._before = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.mib = max(self.mib, (self._process.memory_info().rss - self._before) / MIB)


def test_memory_does_not_grow_with_an_insert(measured: ClickHouseServer) -> None:
    api = Api(measured)
    # No parts and small blocks: the test is about the path into the engine, not about its own memory.
    api.text("CREATE TABLE default.sink (n UInt64, s String) ENGINE = Null")
    small_blocks: dict[str, Any] = {
        "input_format_parallel_parsing": 0,
        "max_insert_block_size": 10_000,
        "min_insert_block_size_rows": 10_000,
        "min_insert_block_size_bytes": MIB,
    }
    block = rows_of_csv(0, 40_000)

    def insert(mib: int) -> float:
        count = mib * MIB // len(block) + 1
        with Peak(measured.pid) as peak:
            body = (piece for _ in range(count) for piece in pieces(block, 100_000))
            assert (
                api.post(body, query="INSERT INTO default.sink FORMAT CSV", **small_blocks).status_code == 200
            )
        return peak.mib

    insert(WARM_UP_MIB)
    assert insert(LARGE_MIB) < ALLOWED_MIB


@pytest.mark.parametrize("wait_end_of_query", [0, 1])
def test_memory_does_not_grow_with_a_result(measured: ClickHouseServer, wait_end_of_query: int) -> None:
    api = Api(measured)

    def read(mib: int) -> float:
        rows = mib * MIB // 100
        sql = f"SELECT repeat('x', 99) FROM numbers({rows})"
        size = 0
        with (
            Peak(measured.pid) as peak,
            api.post(sql, stream=True, wait_end_of_query=wait_end_of_query) as answer,
        ):
            for piece in answer.iter_content(MIB):
                size += len(piece)
        assert size == rows * 100
        return peak.mib

    read(WARM_UP_MIB)
    assert read(LARGE_MIB) < ALLOWED_MIB


def test_a_result_starts_before_its_query_ends(api: Api) -> None:
    # This query takes hours, so the data arrive before its end.
    with api.post("SELECT number FROM numbers(5000000000000)", stream=True) as answer:
        pieces_of_result = answer.iter_content(MIB)
        assert next(pieces_of_result).startswith(b"0\n1\n2\n")
        assert sum(len(next(pieces_of_result)) for _ in range(16)) > 8 * MIB
    until_idle(api, "numbers(5000000000000)")


def test_an_error_inside_a_result_ends_it_with_the_reason(api: Api) -> None:
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_block_size = 10000"
    with api.post(sql, stream=True) as answer:
        assert answer.status_code == 200
        received = bytearray()
        with pytest.raises(ChunkedEncodingError):
            collect(answer, received)
    tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
    assert received.endswith(tag + b"\r\n__exception__\r\n")
    assert b"\r\n__exception__\r\n" + tag + b"\r\nCode: 395. DB::Exception: " in received


def test_wait_end_of_query_gives_a_true_status(api: Api) -> None:
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_block_size = 10000"
    assert api.code(sql, wait_end_of_query=1) == 395


def test_a_disconnect_cancels_the_query(api: Api) -> None:
    sql = b"SELECT sum(sipHash64(number)) FROM numbers(3000000000000)"
    connection = api.connect(sql, headers={"Content-Length": str(len(sql))})
    deadline = time.monotonic() + WAIT_S
    while not api.running("numbers(3000000000000)"):
        assert time.monotonic() < deadline
    connection.close()
    until_idle(api, "numbers(3000000000000)")


@pytest.mark.parametrize("rows", [0, 2, 300_000])
@pytest.mark.parametrize("ending", ["close", "reset", "end of sending", "bad chunk"])
def test_an_incomplete_insert_inserts_nothing(api: Api, table: str, rows: int, ending: str) -> None:
    data = rows_of_csv(0, rows)
    chunk = f"{len(data):x}\r\n".encode() + data + b"\r\n" if data else b""
    query = f"INSERT INTO {table} FORMAT CSV"
    connection = api.connect(chunk, headers={"Transfer-Encoding": "chunked"}, query=query)
    match ending:
        case "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        case "end of sending":
            connection.shutdown(socket.SHUT_WR)
        case "bad chunk":
            connection.sendall(b"not a size\r\n")
    connection.close()
    until_idle(api, table)
    assert api.text(f"SELECT count() FROM {table}") == "0"


def test_eight_clients_in_parallel(api: Api, table: str) -> None:
    failures: list[str] = []

    def work(number: int) -> None:
        mine = Api(api.server, "dataflix_admin", requests.Session())
        for turn in range(5):
            first = (number * 5 + turn) * 2000
            done = mine.post(pieces(rows_of_csv(first, 2000), 3000), query=f"INSERT INTO {table} FORMAT CSV")
            read = mine.post(f"SELECT count() FROM {table} WHERE n >= {first} AND n < {first + 2000}")
            if done.status_code != 200 or read.text != "2000\n":
                failures.append(done.text + read.text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert api.text(f"SELECT count(), uniqExact(n) FROM {table}") == "80000\t80000"


def test_slow_inserts_do_not_block_others_up_to_the_limit(api: Api, table: str) -> None:
    query = f"INSERT INTO {table} FORMAT CSV"

    def send() -> socket.socket:
        return api.connect(b"", headers={"Transfer-Encoding": "chunked"}, query=query)

    waiting = [send() for _ in range(ADMIN.max_statements - 2)]
    try:
        assert api.text("SELECT 1") == "1"
        deadline = time.monotonic() + WAIT_S
        while (answer := api.post("SELECT 1")).status_code == 200:
            assert time.monotonic() < deadline
            waiting.append(send())
        assert answer.headers["X-ClickHouse-Exception-Code"] == "202"
        assert requests.get(f"{api.url}ping", timeout=10).text == "Ok.\n"
    finally:
        for connection in waiting:
            connection.close()
    deadline = time.monotonic() + WAIT_S
    while api.post("SELECT 1").status_code != 200:
        assert time.monotonic() < deadline
    until_idle(api, table)


def test_an_insert_that_waits_for_its_body_can_be_killed(api: Api, table: str) -> None:
    waiting = api.connect(
        b"2\r\n1\n\r\n",
        headers={"Transfer-Encoding": "chunked"},
        query=f"INSERT INTO {table} (n) FORMAT CSV",
        query_id="waiting-insert",
    )
    deadline = time.monotonic() + WAIT_S
    while not api.running(table):
        assert time.monotonic() < deadline
    assert api.text("KILL QUERY WHERE query_id = 'waiting-insert' SYNC").startswith("finished\t")
    assert b"Code: 394" in waiting.recv(10_000)
    waiting.close()
    assert api.text(f"SELECT count() FROM {table}") == "0"
