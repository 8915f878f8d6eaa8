"""Splits a file of SQL into statements, and reads the columns of created tables."""

import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# Comments, texts between quotes or dollars, and the ends of statements.
_TOKEN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\$\$.*?\$\$|;", re.DOTALL)


class UnreadableFileError(Exception):
    """A file cannot be read; the message names it and says why."""


def statements(path: Path) -> Iterator[str]:
    """Yield the statements of a file, without comments and psql commands."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("\\"))
    began = 0
    kept: list[str] = []
    for token in _TOKEN.finditer(text):
        kept.append(text[began : token.start()])
        began = token.end()
        if token[0] == ";":
            yield "".join(kept).strip()
            kept = []
        elif not token[0].startswith("--"):
            kept.append(token[0])


def created_table(statement: str, dialect: str, file: str) -> tuple[str, str, list[str]]:
    """Return schema (empty if not given), name and columns of a CREATE TABLE.

    Raises:
        UnreadableFileError: the statement cannot be parsed.
    """
    try:
        parsed = sqlglot.parse_one(statement, dialect=dialect)
    except SqlglotError as error:
        raise UnreadableFileError(f"{file}: {str(error).splitlines()[0]}") from error
    table = parsed.find(exp.Table)
    if table is None or not isinstance(parsed.this, exp.Schema):
        raise UnreadableFileError(f"{file}: no table with columns: {statement[:60]}")
    columns = [item.name for item in parsed.this.expressions if isinstance(item, exp.ColumnDef)]
    return table.db, table.name, columns
