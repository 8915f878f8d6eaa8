"""State that a session keeps between requests, and state that it must not keep."""

import threading
import time
from typing import Any

from .support.api import Api

UNKNOWN_TABLE = 60
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373


def test_a_session_keeps_settings_tables_and_database(api: Api) -> None:
    dbt = api.as_user("dbt")
    dbt.text("CREATE TEMPORARY TABLE kept (a Int8)", session_id="s")
    dbt.text("INSERT INTO kept VALUES (7)", session_id="s")
    dbt.text("SET max_threads = 1", session_id="s")
    dbt.text("USE raw", session_id="s")
    asked = "SELECT a, getSetting('max_threads'), currentDatabase() FROM kept"
    assert dbt.text(asked, session_id="s") == "7\t1\traw"
    assert dbt.code("SELECT * FROM kept", database="analytics") == UNKNOWN_TABLE
    assert dbt.code("SELECT * FROM kept", database="analytics", session_id="t") == UNKNOWN_TABLE


def test_a_request_without_a_session_leaves_nothing_behind(api: Api) -> None:
    before = api.text("SELECT getSetting('max_block_size'), currentDatabase()")
    api.text("SET max_block_size = 123")
    api.text("USE raw")
    assert api.text("SELECT getSetting('max_block_size'), currentDatabase()") == before


def test_url_settings_apply_to_their_request_only(api: Api) -> None:
    asked = "SELECT getSetting('max_block_size'), currentDatabase()"
    api.text("SET max_block_size = 1000", session_id="u")
    assert api.text(asked, session_id="u", max_block_size=77, database="raw") == "77\traw"
    assert api.text(asked, session_id="u", max_block_size=78) == "78\tdefault"
    assert api.code("SELECT 1", session_id="u", max_block_size=79, no_such_setting=1) == 115
    assert api.text(asked, session_id="u") == "1000\tdefault"


def test_sessions_belong_to_their_account(api: Api) -> None:
    api.as_user("dbt").text("CREATE TEMPORARY TABLE mine (a Int8)", session_id="own")
    assert api.code("SELECT * FROM mine", session_id="own") == UNKNOWN_TABLE


def test_session_check_needs_an_existing_session(api: Api) -> None:
    assert api.code("SELECT 1", session_id="new", session_check=1) == SESSION_NOT_FOUND
    api.text("SELECT 1", session_id="new")
    assert api.text("SELECT 1", session_id="new", session_check=1) == "1"


def test_a_session_ends_after_its_timeout(api: Api) -> None:
    api.text("SELECT 1", session_id="short", session_timeout=1)
    deadline = time.monotonic() + 60
    while api.post("SELECT 1", session_id="short", session_check=1, session_timeout=1).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(1.2)
    for wrong in ("0", "3601", "x", "-1", "9" * 5000):
        assert api.code("SELECT 1", session_id="short", session_timeout=wrong) == 36


def test_a_session_runs_one_query_at_a_time(api: Api) -> None:
    slow = "SELECT sum(sipHash64(number)) FROM numbers(2000000000000)"
    arguments: dict[str, Any] = {"session_id": "busy", "query_id": "busy-query"}
    thread = threading.Thread(target=lambda: Api(api.server).post(slow, **arguments))
    thread.start()
    while not api.running("numbers(2000000000000)"):
        time.sleep(0.02)
    assert api.code("SELECT 1", session_id="busy") == SESSION_IS_LOCKED
    api.text("KILL QUERY WHERE query_id = 'busy-query' SYNC")
    thread.join()
    assert api.text("SELECT 1", session_id="busy") == "1"


def test_a_session_is_free_as_soon_as_its_response_ends(api: Api) -> None:
    for number in range(50):
        assert api.text(f"SELECT {number}", session_id="fast") == str(number)
