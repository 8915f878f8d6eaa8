"""Reads the SQL scripts that create databases, tables and roles."""

from collections.abc import Iterator
from pathlib import Path

from dataflix_clickhouse.errors import QueryError, StartupError
from dataflix_clickhouse.sql.tokenizer import TokenKind, tokenize


def read_statements(folder: Path) -> list[str]:
    """Return the statements of every `*.sql` file in the folder, in the order of the file names.

    Raises:
        StartupError: a file cannot be read or split into statements, or there are no statements.
    """
    statements: list[str] = []
    for path in sorted(folder.glob("*.sql")):
        try:
            statements += split(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, QueryError) as error:
            raise StartupError(f"cannot read {path}: {error}") from error
    if not statements:
        raise StartupError(f"--init {folder} has no SQL statements in *.sql files")
    return statements


def split(script: str) -> Iterator[str]:
    """Yield the statements of a script, without their semicolons."""
    start: int | None = None
    end = 0
    for token in tokenize(script):
        if token.kind is TokenKind.SYMBOL and token.text == ";":
            if start is not None:
                yield script[start:end]
            start = None
            continue
        start = token.start if start is None else start
        end = token.end
    if start is not None:
        yield script[start:end]


def is_access_statement(statement: str) -> bool:
    """Return whether the statement creates a role or grants a privilege; these become configuration."""
    words = [token.keyword for token, _ in zip(tokenize(statement), range(2), strict=False)]
    return words[0] in ("GRANT", "REVOKE") or words[1:] == ["ROLE"]
