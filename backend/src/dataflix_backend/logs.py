"""Structured logs: one JSON object per line on standard error."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


# gunicorn's messages about requests that do not reach the application; the request's own text follows.
_QUOTING = ("Invalid request from", "Error handling request")


class WithoutRequests(logging.Filter):
    """Cuts the request's text out of gunicorn's messages: it may hold personal values."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, shortened where it quotes a request."""
        beginning = next((text for text in _QUOTING if str(record.msg).startswith(text)), None)
        if record.name == "gunicorn.error" and beginning is not None:
            record.msg, record.args = f"{beginning} a client", ()
        return True


class JsonFormatter(logging.Formatter):
    """Renders a record and its ``extra`` fields as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "event": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            entry["exception"] = self._exception(record)
        return orjson.dumps(entry, default=str).decode()

    def _exception(self, record: logging.LogRecord) -> list[str]:
        """Return types and code locations of the chain, without messages: they may hold personal values."""
        error = record.exc_info[1] if record.exc_info else None
        chain: list[str] = []
        seen: set[int] = set()
        # An error that is raised again from its own cause makes the chain a cycle.
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
            chain.append(f"{type(error).__module__}.{type(error).__qualname__} at {where}")
            error = error.__cause__ or error.__context__
        return chain


def configuration() -> dict[str, Any]:
    """Return the dictConfig that gunicorn and our commands share."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "filters": {"requests": {"()": WithoutRequests}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": sys.stderr,
                "formatter": "json",
                "filters": ["requests"],
            }
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }
