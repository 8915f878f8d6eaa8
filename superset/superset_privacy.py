"""Keeps what people type into Superset out of its metadata, its caches and its logs.

A filter or an expression may carry a person's name. Superset would write the whole request into its table of
actions, the text of every query of SQL Lab into another one, and errors with their statements into its log.
"""

# Superset has an environment of its own, which the type checker does not look into.
# mypy: disable-error-code="import-not-found, import-untyped, misc, no-any-return"

import copy
import logging
from pathlib import Path
from typing import Any

from flask import Flask
from superset.extensions import _event_logger
from superset.security import SupersetSecurityManager
from superset.utils.log import DBEventLogger

# SQL Lab and what it stores: views and menu entries by the names that permissions have.
_SQL_LAB = frozenset(
    {
        *("SQLLab", "SQL Lab", "SQL Editor", "SqlLabPermalinkRestApi", "TabStateView", "TableSchemaView"),
        *("Query", "Query Search", "SavedQuery", "Saved Queries"),
    }
)
# What the list of recent work on the first page is made from.
_RECENT_WORK = ("mount_dashboard", "mount_explorer")


class WithoutSqlLab(SupersetSecurityManager):
    """Nobody may use SQL Lab, an administrator neither: it keeps the text of whatever is asked."""

    def has_access(self, permission_name: str, view_name: str) -> bool:
        """Say whether the present user may do something."""
        return view_name not in _SQL_LAB and super().has_access(permission_name, view_name)

    def get_user_menu_access(self, menu_names: list[str] | None = None) -> set[str]:
        """Return the menu's entries for the present user."""
        return set(super().get_user_menu_access(menu_names)) - _SQL_LAB


class ActionLogger(DBEventLogger):
    """Records who did what to which dashboard or chart and when, and nothing that the request said."""

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
        """Store an action, or each of those that a page tells of at once; an address may hold a filter."""
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
    """Renders a record with the types of its values, and of an error its type and where it arose."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        bare = copy.copy(record)
        if isinstance(record.args, dict):
            bare.args = {name: _harmless(value) for name, value in record.args.items()}
        elif record.args:
            bare.args = tuple(map(_harmless, record.args))
        elif record.levelno >= logging.WARNING:
            # Without places the values are in the text already, or it is an error itself.
            bare.msg = f"{Path(record.pathname).name}:{record.lineno}"
        bare.exc_info, bare.exc_text, bare.stack_info = None, None, None
        return super().format(bare) + "".join(f" error={place}" for place in _chain(record))


def _harmless(value: object) -> object:
    return value if isinstance(value, int | float) else f"<{type(value).__name__}>"


def _chain(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    places: list[str] = []
    seen: set[int] = set()
    # Superset raises an error anew out of its own, which makes the chain a ring.
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
    """Put all of it in the place of Superset's own."""
    # Superset takes classes for these from its settings, where it cannot be imported yet. Its functions hold
    # on to the objects already, so those stay and change their kind.
    app.appbuilder.sm.__class__ = WithoutSqlLab  # type: ignore[attr-defined]
    _event_logger["event_logger"].__class__ = ActionLogger
    for handler in logging.getLogger().handlers:
        handler.setFormatter(WithoutValues(app.config["LOG_FORMAT"]))
