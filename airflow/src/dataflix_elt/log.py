"""Structured log lines: the name of an event and key=value pairs, never a value of a row."""

import logging
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class EventLog:
    """Logs events to a logger, each with the same fields first.

    Attributes:
        logger: where the lines go.
        fields: pairs that every event begins with, such as the run and the table.
    """

    logger: logging.Logger
    fields: dict[str, Any] = field(default_factory=dict)

    def info(self, event: str, **pairs: object) -> None:
        """Log what happened, e.g. `load_finished table=ratings rows=100836`."""
        self._log(logging.INFO, event, pairs)

    def warning(self, event: str, **pairs: object) -> None:
        """Log what a person should look at some time."""
        self._log(logging.WARNING, event, pairs)

    def _log(self, level: int, event: str, pairs: dict[str, object]) -> None:
        text = " ".join(f"{key}={value}" for key, value in (self.fields | pairs).items())
        self.logger.log(level, "%s %s", event, text)
