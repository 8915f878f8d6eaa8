"""ClickHouse's tokens, far enough to find where a statement's clauses begin.

The engine alone judges whether SQL is valid and what it means; this module only tells words from strings,
comments and brackets, so that a clause can be found without being fooled by a quoted one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, refused


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


_SKIPPED = re.compile(r"\s+|--[^\n]*|//[^\n]*|#[ !][^\n]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_PATTERNS = (
    (Kind.WORD, re.compile(r"[^\W\d]\w*")),
    (Kind.NUMBER, re.compile(r"\d\w*(?:\.\w*)?")),
    (Kind.STRING, re.compile(r"'(?:[^'\\]|\\.|'')*'|\$(\w*)\$.*?\$\1\$|\u2018[^\u2019]*\u2019", re.DOTALL)),
    (
        Kind.QUOTED_NAME,
        re.compile(r'"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\u201c[^\u201d]*\u201d', re.DOTALL),
    ),
)


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of `text`, without blanks and comments.

    It is lazy on purpose: what follows `FORMAT x` in an INSERT is data, and must not be looked at as SQL.

    Raises:
        QueryError: a string, quoted name or comment does not end.
    """
    position, depth, size = 0, 0, len(text)
    while position < size:
        after = _skip(text, position)
        if after > position:
            position = after
            continue
        kind, end = _next(text, position)
        symbol = text[position:end] if kind is Kind.SYMBOL else ""
        if symbol in (")", "]", "}"):
            depth -= 1
        yield Token(kind, text[position:end], position, end, depth)
        if symbol in ("(", "[", "{"):
            depth += 1
        position = end


def _skip(text: str, position: int) -> int:
    """Return where the blank or comment that begins here ends; comments in /* */ nest."""
    skipped = _SKIPPED.match(text, position)
    if skipped is not None:
        return skipped.end()
    if not text.startswith("/*", position):
        return position
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise _unfinished(text, position)


def _next(text: str, position: int) -> tuple[Kind, int]:
    for kind, pattern in _PATTERNS:
        found = pattern.match(text, position)
        if found is not None:
            return kind, found.end()
    if text[position] in "'\"`\u2018\u201c":
        raise _unfinished(text, position)
    return Kind.SYMBOL, position + 1


def _unfinished(text: str, position: int) -> QueryError:
    beginning = text[position : position + 20]
    return refused(
        ErrorCode.SYNTAX_ERROR,
        f"Syntax error: what begins with {beginning!r} at position {position + 1} does not end.",
    )
