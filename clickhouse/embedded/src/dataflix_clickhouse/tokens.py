"""ClickHouse's tokens, far enough to find where a statement's clauses begin.

The engine alone judges whether SQL is valid and what it means; this module only tells words from strings,
comments and brackets, so that a clause can be found without being fooled by a quoted one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    QUOTED_NAME = "quoted name"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """One token with its place in the text and how many brackets are open around it."""

    kind: Kind
    text: str
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> str:
        """The word in capitals; empty for everything that is not a bare word."""
        return self.text.upper() if self.kind is Kind.WORD else ""

    @property
    def name(self) -> str:
        """The word, or the name between the quotes; empty for everything else."""
        if self.kind is Kind.QUOTED_NAME:
            return re.sub(r"\\(.)|([`\"])\2", r"\1\2", self.text[1:-1])
        return self.text if self.kind is Kind.WORD else ""


_SKIPPED = re.compile(r"\s+|--[^\n]*|#[ !][^\n]*|/\*.*?\*/", re.DOTALL)
_PATTERNS = (
    (Kind.WORD, re.compile(r"[^\W\d]\w*")),
    (Kind.NUMBER, re.compile(r"\d\w*(?:\.\w*)?")),
    (Kind.STRING, re.compile(r"'(?:[^'\\]|\\.|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)),
    (Kind.QUOTED_NAME, re.compile(r'"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`', re.DOTALL)),
)


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of `text`, without blanks and comments.

    It is lazy on purpose: what follows `FORMAT x` in an INSERT is data, and must not be looked at as SQL.

    Raises:
        QueryError: a string, quoted name or comment does not end.
    """
    position, depth, size = 0, 0, len(text)
    while position < size:
        skipped = _SKIPPED.match(text, position)
        if skipped is not None:
            position = skipped.end()
            continue
        kind, end = _next(text, position)
        symbol = text[position:end] if kind is Kind.SYMBOL else ""
        if symbol in (")", "]", "}"):
            depth -= 1
        yield Token(kind, text[position:end], position, end, depth)
        if symbol in ("(", "[", "{"):
            depth += 1
        position = end


def _next(text: str, position: int) -> tuple[Kind, int]:
    for kind, pattern in _PATTERNS:
        found = pattern.match(text, position)
        if found is not None:
            return kind, found.end()
    if text[position] in "'\"`" or text.startswith("/*", position):
        raise refused(
            ErrorCode.SYNTAX_ERROR,
            f"Syntax error: what begins with {text[position : position + 20]!r} at position {position + 1} "
            "does not end.",
        )
    return Kind.SYMBOL, position + 1
