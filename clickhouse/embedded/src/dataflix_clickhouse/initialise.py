"""The SQL files that make databases, tables and roles."""

import logging
from collections.abc import Iterator
from pathlib import Path

from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.errors import QueryError, SettingsError
from dataflix_clickhouse.tokens import Kind, tokenize

log = logging.getLogger(__name__)


def statements_of(folder: Path) -> list[str]:
    """Return the statements of every `*.sql` of the folder, in the order of the files' names.

    Raises:
        SettingsError: a file cannot be read or split.
    """
    found: list[str] = []
    for path in sorted(folder.glob("*.sql")):
        try:
            found += split(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, QueryError) as error:
            raise SettingsError(f"cannot read {path}: {error}") from error
    if not found:
        raise SettingsError(f"--init {folder} holds no SQL")
    return found


def split(script: str) -> Iterator[str]:
    """Yield the script's statements, without their semicolons."""
    start: int | None = None
    end = 0
    for token in tokenize(script):
        if token.kind is Kind.SYMBOL and token.text == ";":
            if start is not None:
                yield script[start:end]
            start = None
            continue
        start = token.start if start is None else start
        end = token.end
    if start is not None:
        yield script[start:end]


def is_about_access(statement: str) -> bool:
    """Say whether the statement makes a role or grants something: here, that is configuration."""
    words = [token.keyword for token, _ in zip(tokenize(statement), range(2), strict=False)]
    return words[0] in ("GRANT", "REVOKE") or words[1:] == ["ROLE"]


def apply(engine: Engine, statements: list[str]) -> None:
    """Run the statements.

    Raises:
        SettingsError: one failed; the message has the engine's reason and the statement.
    """
    for statement in statements:
        try:
            engine.admin(statement)
        except QueryError as error:
            raise SettingsError(f"{error.text.strip()} in: {statement}") from error
    log.info("initialised statements=%d", len(statements))
