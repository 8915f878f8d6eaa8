import json
import logging
import sys
from typing import Any

from dataflix_backend.logs import JsonFormatter


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


def test_extra_fields_stand_beside_the_event() -> None:
    entry = rendered("request", status=200, route="/users/<user_id>")
    assert entry["event"] == "request"
    assert entry["status"] == 200
    assert entry["level"] == "info"


def test_line_breaks_cannot_forge_an_entry() -> None:
    record = logging.LogRecord("name", logging.INFO, __file__, 1, 'a\n{"event": "forged"}', (), None)
    assert "\n" not in JsonFormatter().format(record)


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
