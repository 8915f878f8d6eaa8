"""Random input: the server responds or closes the connection, inserts nothing in part, and keeps working."""

import gzip
import socket
import string
import zlib
from base64 import b64encode

import lz4.frame
import pytest
import requests
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflix_testkit.long_mode import short_or_long

from .support.api import Api

FUZZ = settings(
    max_examples=short_or_long(40, 1000), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
pytestmark = pytest.mark.timeout(short_or_long(900, 3600))

COMPRESSED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
CSV = b"".join(b"%d,row\n" % number for number in range(500))

words = st.sampled_from(
    [
        "query",
        "database",
        "user",
        "param_a",
        "session_id",
        "compress",
        "decompress",
        "default_format",
        "max_threads",
    ]
)
values = st.text(string.printable, max_size=30) | st.sampled_from(
    ["1", "0", "SELECT 1", "Native", "analytics", ""]
)


def assert_works(api: Api) -> None:
    """Fail unless the server runs a query."""
    assert api.text("SELECT 1 + 1") == "2"


def send_raw(api: Api, sent: bytes) -> bytes:
    """Send bytes unchanged, shut down the sending side, and return the response."""
    with socket.create_connection((api.server.host, api.server.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            while piece := connection.recv(65536):
                got += piece
        except ConnectionError:
            # The server closed the connection.
            return b""
        return got


@FUZZ
@given(sent=st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"POST / HTTP/1.1\r\n" + tail))
def test_any_bytes(api: Api, sent: bytes) -> None:
    answer = send_raw(api, sent + b"\r\n\r\n")
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert_works(api)


@FUZZ
@given(
    headers=st.lists(
        st.sampled_from(
            [
                *("Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999"),
                *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Content-Encoding: gzip"),
                *("Content-Encoding: snappy", "Expect: 100-continue", "X-ClickHouse-User: nobody"),
                *("Content-Type: multipart/form-data; boundary=x", "Content-Type: multipart/form-data"),
                *("Accept-Encoding: zstd", "X-ClickHouse-Format: Nonsense", "X-ClickHouse-Key: x"),
            ]
        ),
        max_size=4,
    ),
    body=st.binary(max_size=60) | st.sampled_from([b"5\r\nSELEC\r\n", b"0\r\n\r\n", b"zz\r\n", b"SELECT 1"]),
)
def test_headers_that_contradict_each_other(api: Api, headers: list[str], body: bytes) -> None:
    account = b64encode(f"{api.user}:{api.password}".encode()).decode()
    head = ["POST /?query= HTTP/1.1", "Host: localhost", f"Authorization: Basic {account}", *headers]
    answer = send_raw(api, "\r\n".join([*head, "", ""]).encode() + body)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert_works(api)


@pytest.mark.parametrize("statement", [b"\x80", b"SELECT * FROM `\xff`", b"INSERT INTO x\x80 FORMAT CSV\n1"])
def test_a_statement_that_is_not_utf_8_gets_the_error_of_the_engine(api: Api, statement: bytes) -> None:
    answer = api.post(statement)
    assert answer.status_code in (400, 404)
    assert answer.text.startswith(f"Code: {answer.headers['X-ClickHouse-Exception-Code']}. DB::Exception: ")


@FUZZ
@given(parameters=st.dictionaries(words, values, max_size=4), body=st.binary(max_size=40))
def test_any_parameters(api: Api, parameters: dict[str, str], body: bytes) -> None:
    account = (api.user, api.password)
    answer = requests.post(api.url, data=body, params=parameters, auth=account, timeout=30)
    if answer.status_code >= 400:
        assert int(answer.headers["X-ClickHouse-Exception-Code"]) > 0
        assert "Traceback" not in answer.text
    assert_works(api)


@FUZZ
@given(
    how=st.sampled_from(sorted(COMPRESSED)),
    cut=st.integers(0, 200),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=3),
)
def test_a_damaged_insert_inserts_all_or_nothing(
    api: Api, table: str, how: str, cut: int, flips: list[tuple[int, int]]
) -> None:
    before = int(api.text(f"SELECT count() FROM {table}"))
    damaged = bytearray(COMPRESSED[how](CSV))
    for place, change in flips:
        damaged[place % len(damaged)] ^= change
    body = bytes(damaged[: len(damaged) - cut]) if cut < len(damaged) else b""
    answer = api.post(body, headers={"Content-Encoding": how}, query=f"INSERT INTO {table} FORMAT CSV")
    arrived = int(api.text(f"SELECT count() FROM {table}")) - before
    if answer.status_code == 200:
        # Without a checksum in the codec, flipped bytes can give other valid rows.
        assert flips or arrived in (0, 500)
    else:
        assert arrived == 0
