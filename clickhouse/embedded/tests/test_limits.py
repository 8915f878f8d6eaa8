"""What one client cannot take from others: slots, threads, memory, sessions, disk."""

import asyncio
import gzip
import socket
import threading
import time
import zlib
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lz4.frame
import psutil
import pytest
import requests
import zstandard

from dataflix_clickhouse.access import limits, roles
from dataflix_clickhouse.access.accounts import ACCOUNTS, ADMIN, MAX_SESSIONS, Authenticator
from dataflix_clickhouse.engine.chdb_engine import QueryResult
from dataflix_clickhouse.engine.thread_pools import ThreadPools
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, StartupError
from dataflix_clickhouse.http import app, body, response
from dataflix_clickhouse.queries import registry
from dataflix_testkit.long_mode import only_long

from .support.api import PASSWORDS, Api

READER = next(account for account in ACCOUNTS if account.name == "reader")
TOO_MANY_STATEMENTS = 202
MEMORY_LIMIT_EXCEEDED = 241
CONSTRAINT_VIOLATION = 452
SESSION_NOT_FOUND = 372
SYNTAX_ERROR = 62
TOO_DEEP_RECURSION = 306
TOO_MANY_SESSIONS = 700
WAIT_S = 60
# What a body of zeros unpacks to.
ZEROS = 200 << 20
ENDLESS = "max(sipHash64(number)) FROM numbers(3000000000000)"
# Sleeps a second for each row, so a statement of it costs nothing and notices a kill within a second.
SLEEPING = "SELECT sleepEachRow(1) FROM numbers(1000) SETTINGS max_block_size = 1"


def until_it_runs(api: Api, sql: str = "SELECT 1", **params: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while (answer := api.post(sql, **params)).status_code != 200:
        assert time.monotonic() < deadline, answer.text


def begin(api: Api, sql: str, **params: str) -> socket.socket:
    """Send a statement and do not wait for its result."""
    return api.connect(sql.encode(), headers={"Content-Length": str(len(sql))}, **params)


@pytest.mark.parametrize(
    ("rows", "encoding"),
    [
        (400_000, "zstd"),
        (100_000, ""),
        pytest.param(400_000, "", marks=only_long),
        pytest.param(100_000, "zstd", marks=only_long),
    ],
)
def test_a_client_that_leaves_during_its_result_keeps_nothing(api: Api, rows: int, encoding: str) -> None:
    # The engine has computed the whole result of 10 or 40 MB, and waits for a pipe that nobody empties.
    sql = f"SELECT randomPrintableASCII(99) FROM numbers({rows})"
    reader = api.as_user("reader")
    before = psutil.Process(api.server.pid).num_threads()
    for _ in range(READER.max_statements + 4):
        until_it_runs(reader)
        headers = {"Content-Length": str(len(sql)), "Accept-Encoding": encoding}
        connection = reader.connect(sql.encode(), headers=headers, enable_http_compression="1")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.close()
    until_it_runs(reader)
    deadline = time.monotonic() + WAIT_S
    while psutil.Process(api.server.pid).num_threads() > before + READER.max_statements:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_long_statement_ends_when_its_client_leaves(api: Api) -> None:
    # system.processes has the first 100,000 characters of a statement only.
    sql = f"SELECT max(sipHash64(number)), '{'x' * 150_000}' FROM numbers(3000000000000)"
    connection = begin(api, sql, query_id="long")
    deadline = time.monotonic() + WAIT_S
    while not api.running("max(sipHash64(number))"):
        assert time.monotonic() < deadline
    connection.close()
    until_it_runs(api, query_id="long")


@pytest.mark.parametrize(
    "sql",
    [
        # To explain it, the engine computes the subquery.
        *(
            f"{explain} SELECT * FROM analytics.recommendations WHERE user_id = (SELECT {ENDLESS})"
            for explain in ("EXPLAIN", "EXPLAIN PIPELINE", "EXPLAIN ESTIMATE")
        ),
        f"SHOW TABLES FROM analytics WHERE name = toString((SELECT {ENDLESS}))",
    ],
)
def test_a_statement_about_others_ends_when_its_client_leaves(api: Api, sql: str) -> None:
    connection = begin(api.as_user("reader"), sql, query_id="explained")
    deadline = time.monotonic() + WAIT_S
    while not api.running("max(sipHash64(number))"):
        assert time.monotonic() < deadline
    connection.close()
    until_it_runs(api.as_user("reader"), query_id="explained")


@pytest.mark.parametrize("text", ["".join(f"$a{n}$ " for n in range(30_000)), "(" * 250_000])
def test_a_long_text_of_one_client_delays_no_other(api: Api, text: str) -> None:
    """Without an end for its heredocs, and with as many tokens as characters."""
    slow: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(api.as_user("reader").code, f"SELECT {text}")
        while not refused.done():
            started = time.monotonic()
            assert requests.get(f"{api.url}ping", timeout=WAIT_S).text == "Ok.\n"
            slow.append(time.monotonic() - started)
    assert refused.result() in (SYNTAX_ERROR, TOO_DEEP_RECURSION)
    assert max(slow) < 2


@pytest.mark.parametrize("user", list(PASSWORDS))
def test_no_account_hides_a_statement_or_lifts_its_limits(api: Api, user: str) -> None:
    account = api.as_user(user)
    for setting in (
        *("log_queries_cut_to_length = 1", "max_untracked_memory = 1000000000000", "max_memory_usage = 0"),
        *("max_memory_usage = 1000000000000000", "max_temporary_data_on_disk_size_for_query = 0"),
    ):
        assert account.code(f"SELECT 1 SETTINGS {setting}") == CONSTRAINT_VIOLATION
        assert account.code(f"SET {setting}") == CONSTRAINT_VIOLATION


@pytest.mark.parametrize("user", list(PASSWORDS))
def test_no_account_takes_more_threads_or_deeper_statements(api: Api, user: str) -> None:
    account = api.as_user(user)
    threads = limits.statement_threads()
    for name in roles.THREAD_SETTINGS:
        assert account.text(f"SELECT 1 SETTINGS {name} = {threads}") == "1"
        assert account.code("SELECT 1", **{name: str(threads + 1)}) == CONSTRAINT_VIOLATION
    for setting in ("max_parser_depth = 0", "max_ast_elements = 1000000", "max_subquery_depth = 100000"):
        assert account.code(f"SELECT 1 SETTINGS {setting}") == CONSTRAINT_VIOLATION
        assert account.code(f"SET {setting}") == CONSTRAINT_VIOLATION


def test_a_start_without_sql_bounds_the_threads_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = {account.role: ["GRANT SELECT ON raw.*"] for account in ACCOUNTS}
    roles.write_config(tmp_path, grants, [])
    monkeypatch.setattr(limits, "statement_threads", lambda: 99)
    monkeypatch.setattr(roles, "statement_threads", lambda: 99)
    users = roles.existing_config(tmp_path).with_name("users.xml")
    assert "<max>99</max>" in users.read_text()
    users.write_text(users.read_text().replace("max_insert_threads", "max_of_another_version"))
    with pytest.raises(StartupError, match="older version"):
        roles.existing_config(tmp_path)


def test_an_account_takes_its_own_slots_only(api: Api) -> None:
    reader = api.as_user("reader")
    busy = [begin(reader, SLEEPING) for _ in range(READER.max_statements)]
    try:
        deadline = time.monotonic() + WAIT_S
        while (answer := reader.post("SELECT 1")).status_code == 200:
            assert time.monotonic() < deadline
        assert answer.headers["X-ClickHouse-Exception-Code"] == str(TOO_MANY_STATEMENTS)
        assert str(READER.max_statements) in answer.text
        for user in ("dataflix_admin", "dbt", "elt_writer", "trainer"):
            assert api.as_user(user).text("SELECT 1") == "1"
        assert requests.get(f"{api.url}ping", timeout=10).text == "Ok.\n"
    finally:
        for connection in busy:
            connection.close()
    until_it_runs(reader)


def test_a_statement_uses_no_more_memory_than_its_account_may(api: Api) -> None:
    for account in ACCOUNTS:
        own = api.as_user(account.name).text("SELECT getSetting('max_memory_usage')")
        assert int(own) == limits.account_memory(account)
    sql = "SELECT length(groupArray(number)) FROM numbers(100000000) SETTINGS max_memory_usage = 50000000"
    assert api.as_user("reader").code(sql) == MEMORY_LIMIT_EXCEEDED


class FakeEngine:
    """An engine whose statements use as much memory as a test says, and do not answer until it says so."""

    def __init__(self) -> None:
        self.memory: dict[str, int] = {}
        self.killed: list[str] = []
        self.answers = threading.Event()
        self.is_admin_busy = False

    def run_as_admin(self, sql: str) -> QueryResult:
        assert not self.is_admin_busy
        return QueryResult(b"host\tUTC\n")

    def check_health(self) -> None:
        self.answers.wait(WAIT_S)

    def memory_by_tag(self) -> dict[str, int]:
        return self.memory

    def kill(self, tag: str, mode: str = "ASYNC") -> bytes:
        self.killed.append(tag)
        return b"waiting"


def test_statements_of_an_account_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MEMORY_CHECK_S", 0.01)
    engine: Any = FakeEngine()
    queries = registry.QueryRegistry(engine, ThreadPools(1))
    limit = limits.account_memory(READER)

    async def run_large(other: str, small: str) -> None:
        with queries.register(READER, "large") as large:
            engine.memory = {other: limit, small: limit // 2, large: limit // 2}
            await asyncio.sleep(0.1)
            assert engine.killed == []
            engine.memory[large] += 10
            while not engine.killed:
                await asyncio.sleep(0.01)
            assert set(engine.killed) == {large}
            # What the engine says to a statement that was killed.
            raise QueryError(ErrorCode.QUERY_WAS_CANCELLED, "Query was cancelled.")

    async def run_both() -> None:
        with queries.register(ADMIN, "other") as other, queries.register(READER, "small") as small:
            with pytest.raises(QueryError, match="reader") as refused:
                await run_large(other, small)
            assert refused.value.code == ErrorCode.MEMORY_LIMIT_EXCEEDED

    asyncio.run(run_both())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 1000) AS insert FROM numbers(1000000000)",
        "WITH insert AS (SELECT number FROM numbers(1000000000)) SELECT repeat('x', 1000) FROM insert",
        "WITH repeat('x', 1000) AS insert SELECT insert FROM numbers(1000000000)",
    ],
)
def test_a_result_is_streamed_whatever_its_names(api: Api, sql: str) -> None:
    # The word INSERT made the whole result stay in memory.
    with api.as_user("reader").post(sql, stream=True) as answer:
        assert next(answer.iter_content(1 << 20)).startswith(b"xxx")
    until_it_runs(api.as_user("reader"))


def test_a_full_disk_ends_a_result_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "RESERVED_BYTES", 1 << 62)

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield bytes(1 << 20)

    async def nothing(*_: object) -> Any:
        return None

    waiting = response.QueryResponse(chunks(), nothing, nothing, nothing, "TSV", "id", "none", True)
    with pytest.raises(QueryError) as refused:
        asyncio.run(response.Responder(nothing, [], tmp_path).send_result(waiting))
    assert refused.value.code == ErrorCode.NOT_ENOUGH_SPACE


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "lz4", "deflate"])
def test_a_small_body_that_unpacks_to_much_is_unpacked_in_pieces(encoding: str) -> None:
    packed = {
        "zstd": zstandard.compress(bytes(ZEROS)),
        "gzip": gzip.compress(bytes(ZEROS)),
        "lz4": lz4.frame.compress(bytes(ZEROS)),
        "deflate": zlib.compress(bytes(ZEROS)),
    }[encoding]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": packed}

    async def sizes() -> list[int]:
        return [len(piece) async for piece in body.Body(receive, encoding).decompressed()]

    pieces = asyncio.run(sizes())
    assert sum(pieces) == ZEROS
    assert max(pieces) <= ZEROS // 4


def test_idle_sessions_make_room_and_changed_ones_do_not(api: Api) -> None:
    trainer = api.as_user("trainer")

    def ask(sql: str, number: int, **params: Any) -> int:
        answer = trainer.post(sql, session_id=f"many-{number}", session_timeout=3600, **params)
        return int(answer.headers.get("X-ClickHouse-Exception-Code", 0))

    for number in range(MAX_SESSIONS + 5):
        assert ask("SELECT 1", number) == 0
    assert ask("SELECT 1", 0, session_check="1") == SESSION_NOT_FOUND
    assert ask("SELECT 1", MAX_SESSIONS, session_check="1") == 0
    for number in range(MAX_SESSIONS):
        assert ask("SET max_threads = 1", number + 1000) == 0
    assert ask("SELECT 1", 1) == TOO_MANY_SESSIONS
    assert ask("SELECT getSetting('max_threads')", 1000) == 0
    # Neither requests without a session nor other accounts need one of these.
    assert trainer.text("SELECT 1") == "1"
    assert api.as_user("dbt").text("SELECT 1", session_id="one") == "1"


def test_health_is_whether_a_statement_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "HEALTH_WAIT_S", 0.1)
    engine: Any = FakeEngine()
    application = app.Application(engine, Authenticator({}), tmp_path)

    async def ask(path: str) -> int:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            raise AssertionError("a health check has no body")

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"path": path, "method": "GET", "query_string": b""}
        await application(scope, receive, send)
        return int(sent[0]["status"])

    async def ask_in_both_states() -> None:
        # Slow is not stuck ...
        assert await asyncio.gather(*(ask("/ping") for _ in range(5)), ask("/")) == [200] * 6
        # ... until it is too slow, since it was first asked.
        monkeypatch.setattr(app, "STUCK_AFTER_S", 0.15)
        assert await asyncio.gather(*(ask("/ping") for _ in range(5)), ask("/")) == [503] * 6
        threads = threading.active_count()
        assert await ask("/replicas_status") == 503
        # A check that is not answered takes no further thread.
        assert threading.active_count() == threads
        engine.answers.set()
        monkeypatch.setattr(app, "HEALTH_WAIT_S", WAIT_S)
        # Neither the administrator's connection nor a thread for statements is needed.
        engine.is_admin_busy = True
        monkeypatch.setattr(ThreadPools, "run_statement", None)
        monkeypatch.setattr(ThreadPools, "run_control", None)
        assert await ask("/ping") == 200

    asyncio.run(ask_in_both_states())
    application.close()
