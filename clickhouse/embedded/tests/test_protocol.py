"""The HTTP interface with plain HTTP requests."""

import gzip
import json
import threading
import time
import zlib
from typing import Any

import lz4.frame
import pytest
import requests
import zstandard

from .support.api import Api, pieces, rows_of_csv


@pytest.mark.parametrize("path", ["ping", "replicas_status", ""])
def test_health_needs_no_password(api: Api, path: str) -> None:
    answer = requests.get(api.url + path, timeout=10)
    assert (answer.status_code, answer.text) == (200, "Ok.\n")


def test_unknown_path_and_method_are_refused(api: Api) -> None:
    assert requests.get(api.url + "play", timeout=10).status_code == 404
    assert requests.put(api.url, timeout=10).status_code == 405


def test_query_in_url_or_body_or_both(api: Api) -> None:
    assert api.get(query="SELECT 1").text == "1\n"
    assert api.post("SELECT 2").text == "2\n"
    assert api.post(" + 3", query="SELECT 2").text == "5\n"


def test_head_has_the_headers_of_an_answer(api: Api) -> None:
    answer = requests.head(api.url, params={"query": "SELECT 1"}, auth=(api.user, api.password), timeout=10)
    assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert answer.content == b""


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE analytics.x (a Int8) ENGINE = Memory", "INSERT INTO t VALUES (1)"]
)
def test_get_can_only_read(api: Api, sql: str) -> None:
    answer = api.get(query=sql)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert "readonly" in answer.text


def test_precedence_of_format_clause_default_format_and_header(api: Api) -> None:
    header = {"X-ClickHouse-Format": "CSV"}
    assert api.post("SELECT 'a'", headers=header).text == '"a"\n'
    assert api.post("SELECT 'a'", headers=header, default_format="JSONEachRow").text == '{"\'a\'":"a"}\n'
    answer = api.post("SELECT 'a' AS x FORMAT TSVWithNames", default_format="JSON")
    assert (answer.text, answer.headers["X-ClickHouse-Format"]) == ("x\na\n", "TSVWithNames")
    assert answer.headers["Content-Type"].startswith("text/")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 AS a FORMAT CSV SETTINGS max_threads = 1", "1\n"),
        ("SELECT 1 AS a SETTINGS max_threads = 1 FORMAT CSV", "1\n"),
        ("SELECT 1;;", "1\n"),
        ("SELECT 1 -- ; FORMAT CSV", "1\n"),
        ("SELECT 'x /* ' -- */ FORMAT JSON", "x /* \n"),
        ("SELECT * FROM (SELECT 1 AS format) AS format", "1\n"),
        ("SELECT ';', $$ ; ' $$ FORMAT TSVRaw", ";\t ; ' \n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
        ("WITH 2 AS x SELECT x", "2\n"),
        ("EXPLAIN SELECT 1 FORMAT CSV", '"Output: 1"'),
        ("EXPLAIN AST SELECT 1", "SelectWithUnionQuery (children 1)"),
        ("SHOW TABLES FROM raw LIKE 'movies' FORMAT CSV", '"movies"\n'),
        ("EXISTS raw.movies", "1\n"),
    ],
)
def test_clauses_are_found_in_any_spelling(api: Api, sql: str, expected: str) -> None:
    answer = api.post(sql)
    assert answer.status_code == 200, answer.text
    assert answer.text.startswith(expected)


def test_response_headers(api: Api) -> None:
    answer = api.post("SELECT number FROM numbers(10)", query_id="my-id")
    assert answer.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert answer.headers["X-ClickHouse-Server-Display-Name"]
    assert answer.headers["X-ClickHouse-Timezone"] == api.text("SELECT timezone()")
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("10", "10")


def test_summary_counts_what_was_written(api: Api, table: str) -> None:
    answer = api.post(rows_of_csv(0, 1234), query=f"INSERT INTO {table} FORMAT CSV")
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert summary["written_rows"] == "1234"
    assert int(summary["written_bytes"]) > 0


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELECT", 62, 400),
        ("", 62, 400),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT nothing", 47, 404),
        ("SELECT * FROM analytics.nothing", 60, 404),
        ("SELECT 1 FORMAT Nothing", 73, 404),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 62, 400),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 78, 404),
        ("SELECT 'not closed", 62, 400),
    ],
)
def test_errors_have_their_code_and_status(api: Api, sql: str, code: int, status: int) -> None:
    answer = api.post(sql)
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status_code) == (str(code), status)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"no_such_setting": "1"}, 115),
        ({"bad-name": "1"}, 115),
        ({"database": "no_such_database"}, 81),
        ({"default_format": "CSV; DROP TABLE x"}, 73),
        ({"compress": "1"}, 48),
        ({"max_query_size": "x"}, 36),
        ({"max_query_size": "9" * 5000}, 36),
        ({"role": "administrator_of_others"}, 48),
    ],
)
def test_wrong_parameters_get_their_error_code(api: Api, params: dict[str, Any], code: int) -> None:
    answer = api.post("SELECT 1", **params)
    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)


def test_settings_and_database_from_the_url(api: Api) -> None:
    asked = "SELECT getSetting('max_threads'), currentDatabase()"
    assert api.text(asked, max_threads=1, database="raw") == "1\traw"
    assert api.post(asked, max_threads=1, headers={"X-ClickHouse-Database": "raw"}).text == "1\traw\n"


def test_query_parameters(api: Api) -> None:
    asked = "SELECT {a:Int32} + 1, {s:String}, {d:DateTime64(3, 'UTC')}, {l:Array(String)}"
    answer = api.text(
        asked, param_a="41", param_s=r"tab\tand ä", param_d="2024-05-06 07:08:09.010", param_l="['x']"
    )
    assert answer == "42\ttab\\tand ä\t2024-05-06 07:08:09.010\t['x']"
    assert api.code("SELECT {a:Int32}", param_a="x") == 457
    assert api.code("SELECT {a:Int32}") == 456


def test_parameters_in_a_form(api: Api) -> None:
    answer = requests.post(
        api.url,
        files={
            "query": (None, "SELECT {s:String}, {n:UInt8}"),
            "param_s": (None, "ä"),
            "param_n": (None, "7"),
        },
        auth=(api.user, api.password),
        timeout=10,
    )
    assert answer.text == "ä\t7\n"


def test_insert_data_in_the_body_or_after_the_statement(api: Api, table: str) -> None:
    api.text('1,"url"\n', query=f"INSERT INTO {table} FORMAT CSV")
    api.text(f'INSERT INTO {table} FORMAT CSV\n2,"body"\n')
    api.text(f"INSERT INTO {table} (s, n) SETTINGS max_threads = 1 VALUES ('values', 3), ('a''b', 4)")
    api.text("(5, 'both')", query=f"INSERT INTO {table} VALUES")
    api.text("", query=f"INSERT INTO {table} FORMAT CSV")
    api.text(f"INSERT INTO {table} SELECT 6, 'select'")
    api.text(f'INSERT INTO {table} FORMAT JSONEachRow {{"n": 7, "s": "json"}}')
    assert api.text(f"SELECT groupArray(s) FROM (SELECT s FROM {table} ORDER BY n)") == (
        r"['url','body','values','a\'b','both','select','json']"
    )


def test_data_for_the_function_input_are_refused(api: Api, table: str) -> None:
    query = f"INSERT INTO {table} SELECT n, s FROM input('n UInt64, s String') FORMAT CSV"
    assert api.code('1,"x"\n', query=query) == 48
    assert api.code(f'{query}\n1,"x"\n') == 48


def test_a_failed_insert_inserts_nothing_and_keeps_the_connection(api: Api, table: str) -> None:
    assert api.code("1,a\nnot a number,b\n", query=f"INSERT INTO {table} FORMAT CSV") == 27
    assert api.text(f"SELECT count() FROM {table}") == "0"


def test_bytes_that_are_not_utf8_pass_through(api: Api, table: str) -> None:
    api.post(b"1\t\xff\xfe\n", query=f"INSERT INTO {table} FORMAT TSV")
    assert api.post(f"SELECT s FROM {table} FORMAT TSVRaw").content == b"\xff\xfe\n"
    assert api.post(b"SELECT '\xff' FORMAT TSVRaw").content == b"\xff\n"


@pytest.mark.parametrize("chunk", [1, 7, 65536])
def test_chunked_bodies_can_be_split_anywhere(api: Api, table: str, chunk: int) -> None:
    body = f"INSERT INTO {table} FORMAT CSV\n".encode() + rows_of_csv(0, 100)
    assert api.post(pieces(body, chunk)).status_code == 200
    assert api.text(f"SELECT count(), sum(n) FROM {table}") == "100\t4950"


_COMPRESSORS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}
_DECOMPRESSORS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}


@pytest.mark.parametrize("encoding", list(_COMPRESSORS))
@pytest.mark.parametrize("is_statement_inside", [False, True])
def test_compressed_bodies(api: Api, table: str, encoding: str, is_statement_inside: bool) -> None:
    statement = f"INSERT INTO {table} FORMAT CSV"
    data = rows_of_csv(0, 5000)
    plain = f"{statement}\n".encode() + data if is_statement_inside else data
    params: dict[str, Any] = {} if is_statement_inside else {"query": statement}
    body = pieces(_COMPRESSORS[encoding](plain), 1000)
    answer = api.post(body, headers={"Content-Encoding": encoding}, **params)
    assert answer.status_code == 200, answer.text
    assert api.text(f"SELECT count(), sum(n) FROM {table}") == "5000\t12497500"


@pytest.mark.parametrize("is_statement_inside", [False, True])
def test_broken_compression_is_an_error(api: Api, table: str, is_statement_inside: bool) -> None:
    statement = f"INSERT INTO {table} FORMAT CSV\n"
    body = gzip.compress(
        statement.encode() + rows_of_csv(0, 5000) if is_statement_inside else rows_of_csv(0, 5000)
    )
    damaged = body[:200] + bytes(100) + body[300:]
    params: dict[str, Any] = {} if is_statement_inside else {"query": statement}
    assert api.post(damaged, headers={"Content-Encoding": "gzip"}, **params).status_code >= 400
    assert api.text(f"SELECT count() FROM {table}") == "0"
    assert api.post(b"", headers={"Content-Encoding": "rot13"}).status_code == 501


@pytest.mark.parametrize("encoding", list(_DECOMPRESSORS))
@pytest.mark.parametrize("rows", [3, 300_000])
def test_compressed_responses(api: Api, encoding: str, rows: int) -> None:
    answer = api.post(
        f"SELECT number FROM numbers({rows})",
        headers={"Accept-Encoding": encoding},
        stream=True,
        enable_http_compression=1,
    )
    assert answer.headers["Content-Encoding"] == encoding
    content = answer.raw.read(decode_content=False)
    assert _DECOMPRESSORS[encoding](content) == b"".join(b"%d\n" % n for n in range(rows))


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip", "lz4", "snappy", "xz", "zstd"])
def test_a_compressed_response_can_be_inserted_again(api: Api, table: str, encoding: str) -> None:
    answer = api.post(
        "SELECT number, toString(number) FROM numbers(1000) FORMAT CSV",
        headers={"Accept-Encoding": encoding},
        stream=True,
        enable_http_compression=1,
    )
    assert answer.headers["Content-Encoding"] == encoding
    content = answer.raw.read(decode_content=False)
    assert b"\n500," not in content
    sent = api.post(content, headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT CSV")
    assert sent.status_code == 200, sent.text
    assert api.text(f"SELECT count(), sum(n) FROM {table}") == "1000\t499500"


def test_responses_are_compressed_only_on_request(api: Api) -> None:
    assert "Content-Encoding" not in api.post("SELECT 1", headers={"Accept-Encoding": "gzip"}).headers
    none = api.post("SELECT 1", headers={"Accept-Encoding": "identity"}, enable_http_compression=1)
    assert "Content-Encoding" not in none.headers


def test_empty_native_results_have_columns(api: Api) -> None:
    expected = b"\x02\x00\x01a\x05UInt8\x01b\x10Nullable(String)"
    for sql in (
        "SELECT 1::UInt8 AS a, NULL::Nullable(String) AS b LIMIT 0 FORMAT Native",
        "SELECT 1::UInt8 AS a, 'x'::Nullable(String) AS b WHERE a = 2 FORMAT Native",
        "WITH x AS (SELECT 1::UInt8 AS a, {p:Nullable(String)} AS b) SELECT * FROM x WHERE 0 FORMAT Native",
    ):
        assert api.post(sql, param_p="q").content == expected
    shown = api.post("SHOW TABLES FROM raw LIKE 'nothing' FORMAT Native", enable_http_compression=1)
    assert shown.content == b"\x01\x00\x04name\x06String"


def test_max_query_size_limits_a_statement(api: Api) -> None:
    long = "SELECT " + "+".join(["1"] * 150_000)
    assert api.code(long) == 62
    assert "max_query_size" in api.post(long).text
    assert api.code("SELECT 1", max_query_size=3) == 62
    longer = "SELECT length('" + "x" * 400_000 + "')"
    assert api.text(longer, max_query_size=1_000_000) == "400000"


def test_a_url_has_a_maximum_length(api: Api) -> None:
    padding = "x" * 200_000
    assert api.get(query=f"SELECT length('{padding}')").text == "200000\n"
    with api.connect(b"", headers={"X-Long": "x" * 100}, query="x" * 1_200_000) as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_running_query_can_be_killed_by_its_id(api: Api) -> None:
    answers: list[requests.Response] = []
    slow = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
    thread = threading.Thread(target=lambda: answers.append(Api(api.server).post(slow, query_id="slow-one")))
    thread.start()
    while not api.running("numbers(1000000000000)"):
        time.sleep(0.02)
    assert api.code("SELECT 1", query_id="slow-one") == 216
    assert api.as_user("dbt").text("KILL QUERY WHERE query_id = 'slow-one' SYNC") == ""
    assert "numbers(1000000000000)" in api.text("KILL QUERY WHERE query_id = 'slow-one' SYNC")
    thread.join()
    assert answers[0].headers["X-ClickHouse-Exception-Code"] == "394"
