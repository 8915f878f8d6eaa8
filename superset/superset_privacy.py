"""Keeps what people type into Superset out of its metadata, its caches and its logs.

A filter or an expression can have a person's name. By default, Superset writes each request to its table of
actions, each SQL Lab query to another table, and errors with their statements to its log.
"""

# Superset has its own environment, which the type checker does not see.
# mypy: disable-error-code="import-not-found, import-untyped, misc, no-any-return"

import copy
import logging
from pathlib import Path
from typing import Any

from flask import Flask
from superset.extensions import _event_logger
from superset.security import SupersetSecurityManager
from superset.utils.log import DBEventLogger

# SQL Lab and its stored objects: names of views and menu entries in permissions.
_SQL_LAB = frozenset(
    {
        *("SQLLab", "SQL Lab", "SQL Editor", "SqlLabPermalinkRestApi", "TabStateView", "TableSchemaView"),
        *("Query", "Query Search", "SavedQuery", "Saved Queries"),
    }
)
# Superset makes the list of recent work on its first page from these.
_RECENT_WORK = ("mount_dashboard", "mount_explorer")


class WithoutSqlLab(SupersetSecurityManager):
    """Nobody may use SQL Lab, not even an administrator, because it stores the text of each query."""

    def has_access(self, permission_name: str, view_name: str) -> bool:
        """Return whether the current user has a permission."""
        return view_name not in _SQL_LAB and super().has_access(permission_name, view_name)

    def get_user_menu_access(self, menu_names: list[str] | None = None) -> set[str]:
        """Return the menu entries for the current user."""
        return set(super().get_user_menu_access(menu_names)) - _SQL_LAB


class ActionLogger(DBEventLogger):
    """Records user, action, dashboard or chart, and time, but no content of the request."""

    def log(  # noqa: PLR0917  the arguments are Superset's
        self,
        user_id: int | None,
        action: str,
        dashboard_id: int | None,
        duration_ms: int | None,
        slice_id: int | None,
        referrer: str | None,
        *_: Any,
        records: list[dict[str, Any]] | None = None,
        **__: Any,
    ) -> None:
        """Store one action or the several that a page reports, without the address: it may have a filter."""
        kept = [_kept(record) for record in records or [{}] if isinstance(record, dict)]
        super().log(user_id, action, dashboard_id, duration_ms, slice_id, None, records=kept)


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        name: record[name] for name in ("dashboard_id", "slice_id") if isinstance(record.get(name), int)
    }
    if record.get("event_name") in _RECENT_WORK:
        kept["event_name"] = record["event_name"]
    return kept


class WithoutValues(logging.Formatter):
    """Formats a record with the types of its values; an error becomes its type and its place in the code."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the log line."""
        plain = copy.copy(record)
        if isinstance(record.args, dict):
            plain.args = {name: _harmless(value) for name, value in record.args.items()}
        elif record.args:
            plain.args = tuple(map(_harmless, record.args))
        elif record.levelno >= logging.WARNING:
            # Without arguments, the text itself may have values.
            plain.msg = f"{Path(record.pathname).name}:{record.lineno}"
        plain.exc_info, plain.exc_text, plain.stack_info = None, None, None
        return super().format(plain) + "".join(f" error={place}" for place in _chain(record))


def _harmless(value: object) -> object:
    return value if isinstance(value, int | float) else f"<{type(value).__name__}>"


def _chain(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    places: list[str] = []
    seen: set[int] = set()
    # Superset re-raises an error from its own cause, which makes the chain a ring.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        step = error.__traceback__
        while step is not None and step.tb_next is not None:
            step = step.tb_next
        where = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step else "?"
        places.append(f"{type(error).__module__}.{type(error).__qualname__}@{where}")
        error = error.__cause__ or error.__context__
    return places


def install(app: Flask) -> None:
    """Replace Superset's own classes by those above."""
    # The settings could name these classes, but Superset cannot be imported there yet. Its functions already
    # have references to the objects, so the objects stay and change their class.
    app.appbuilder.sm.__class__ = WithoutSqlLab  # type: ignore[attr-defined]
    _event_logger["event_logger"].__class__ = ActionLogger
    for handler in logging.getLogger().handlers:
        handler.setFormatter(WithoutValues(app.config["LOG_FORMAT"]))
