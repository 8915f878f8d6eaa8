import json
import logging
import sys
from typing import Any

import pytest

from dataflix_backend.logs import JsonFormatter, WithoutRequests


def fail() -> None:
    persons: dict[str, int] = {}
    try:
        persons["Canary"] += 1
    except KeyError as error:
        raise ValueError("Canary again") from error


def rendered(message: str, exc_info: Any = None, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("name", logging.INFO, __file__, 1, message, (), exc_info)
    vars(record).update(extra)
    entry: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return entry


def test_extra_fields_are_next_to_the_event() -> None:
    entry = rendered("request", status=200, route="/users/<user_id>")
    assert entry["event"] == "request"
    assert entry["status"] == 200
    assert entry["level"] == "info"


def test_line_breaks_cannot_forge_an_entry() -> None:
    record = logging.LogRecord("name", logging.INFO, __file__, 1, 'a\n{"event": "forged"}', (), None)
    assert "\n" not in JsonFormatter().format(record)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("Invalid request from ip=127.0.0.1: Invalid HTTP Version: 'GET /Canary'", ()),
        ("Error handling request %s %s", ("GET", "/Canary")),
    ],
)
def test_request_text_in_gunicorn_s_messages_is_left_out(message: str, arguments: tuple[str, ...]) -> None:
    record = logging.LogRecord("gunicorn.error", logging.WARNING, __file__, 1, message, arguments, None)
    assert WithoutRequests().filter(record)
    line = JsonFormatter().format(record)
    assert "Canary" not in line
    assert message[:15] in line


def test_exceptions_are_placed_without_their_messages() -> None:
    try:
        fail()
    except ValueError:
        entry = rendered("failed", sys.exc_info())
    assert "Canary" not in json.dumps(entry)
    assert [line.split(" at ")[0] for line in entry["exception"]] == [
        "builtins.ValueError",
        "builtins.KeyError",
    ]
    assert "test_logs.py:" in entry["exception"][0]


def test_a_cycle_of_errors_is_logged_once() -> None:
    inner, outer = KeyError("Canary"), ValueError("Canary")
    inner.__context__, outer.__context__ = outer, inner
    entry = rendered("failed", (ValueError, outer, None))
    assert entry["exception"] == ["builtins.ValueError at ?", "builtins.KeyError at ?"]
