"""Structured log lines: a name and key=value pairs, never a value of a row."""

import logging


def event(logger: logging.Logger, name: str, level: int = logging.INFO, **pairs: object) -> None:
    """Log one event, e.g. `load_finished table=ratings rows=100836`."""
    logger.log(level, "%s %s", name, " ".join(f"{key}={value}" for key, value in pairs.items()))
