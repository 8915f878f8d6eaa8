"""Applying the SQL files that make databases and tables."""

import logging
from pathlib import Path

from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.errors import QueryError, SettingsError
from dataflix_clickhouse.tokens import Kind, tokenize

log = logging.getLogger(__name__)

# Roles are the engine's configuration here, not SQL.
_ACCESS_KEYWORDS = ("GRANT", "REVOKE")


def split(script: str) -> list[str]:
    """Return the script's statements, without their semicolons."""
    found: list[str] = []
    start: int | None = None
    end = 0
    for token in tokenize(script):
        if token.kind is Kind.SYMBOL and token.text == ";":
            if start is not None:
                found.append(script[start:end])
            start = None
            continue
        start = token.start if start is None else start
        end = token.end
    if start is not None:
        found.append(script[start:end])
    return found


def is_access_statement(statement: str) -> bool:
    """Say whether the statement makes a role or grants something."""
    words = [token.keyword for token, _ in zip(tokenize(statement), range(2), strict=False)]
    return words[0] in _ACCESS_KEYWORDS or words[:2] == ["CREATE", "ROLE"]


def apply(engine: Engine, folder: Path) -> None:
    """Run every `*.sql` of the folder in the order of their names.

    Raises:
        SettingsError: a statement failed; the message has its file and the engine's reason.
    """
    for path in sorted(folder.glob("*.sql")):
        for statement in split(path.read_text(encoding="utf-8")):
            if is_access_statement(statement):
                continue
            try:
                engine.admin(statement)
            except QueryError as error:
                raise SettingsError(f"{path.name}: {error.text.strip()} in: {statement}") from error
        log.info("applied file=%s", path.name)
