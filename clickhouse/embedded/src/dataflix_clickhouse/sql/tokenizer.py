"""A tokenizer for ClickHouse's SQL, just enough to find where the clauses of a statement begin.

Only the engine decides whether SQL is valid and what it means. This module separates words from strings,
comments and brackets, so that a FORMAT inside a string is not taken for a clause. Why this is not a library:
docs/adr/0010-clickhouse-tokenizer.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error


class TokenKind(Enum):
    """The kind of a token."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    QUOTED_NAME = "quoted name"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        start: index of its first character in the text.
        end: index after its last character.
        depth: number of brackets that are open around it.
    """

    kind: TokenKind
    text: str
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> str:
        """The word in upper case; empty for any other kind of token."""
        return self.text.upper() if self.kind is TokenKind.WORD else ""

    @property
    def name(self) -> str:
        """The word, or the name inside the quotes without escapes; empty for any other kind of token."""
        if self.kind is TokenKind.QUOTED_NAME:
            return re.sub(r"\\(.)|([`\"])\2", r"\1\2", self.text[1:-1])
        return self.text if self.kind is TokenKind.WORD else ""


_SKIPPED = re.compile(r"\s+|--[^\n]*|//[^\n]*|#[ !][^\n]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_PATTERNS = (
    (TokenKind.WORD, re.compile(r"[^\W\d]\w*")),
    (TokenKind.NUMBER, re.compile(r"\d\w*(?:\.\w*)?")),
    (
        TokenKind.STRING,
        re.compile(r"'(?:[^'\\]|\\.|'')*'|\u2018[^\u2019]*\u2019", re.DOTALL),
    ),
    (
        TokenKind.QUOTED_NAME,
        re.compile(r'"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\u201c[^\u201d]*\u201d', re.DOTALL),
    ),
)
# The mark at both ends of a heredoc. A pattern for all of it would read the rest of the text for each
# mark, and would take minutes for a long text of marks.
_HEREDOC_MARK = re.compile(r"\$\w*\$")
_HEREDOC_MARKS = re.compile(r"(?=(\$\w*\$))")


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of `text`, without white space and comments.

    This is a generator on purpose: the text after `FORMAT x` in an INSERT is data and must not be read as
    SQL.

    Raises:
        QueryError: a string, quoted name or comment is not closed.
    """
    position, depth, size = 0, 0, len(text)
    last_marks: dict[str, int] | None = None
    while position < size:
        after = _skip(text, position)
        if after > position:
            position = after
            continue
        mark = _HEREDOC_MARK.match(text, position)
        if mark is not None and last_marks is None:
            last_marks = {found[1]: found.start() for found in _HEREDOC_MARKS.finditer(text, position)}
        if mark is not None and last_marks is not None and last_marks[mark[0]] >= mark.end():
            kind, end = TokenKind.STRING, text.index(mark[0], mark.end()) + len(mark[0])
        else:
            kind, end = _next(text, position)
        symbol = text[position:end] if kind is TokenKind.SYMBOL else ""
        if symbol in (")", "]", "}"):
            depth -= 1
        yield Token(kind, text[position:end], position, end, depth)
        if symbol in ("(", "[", "{"):
            depth += 1
        position = end


def _skip(text: str, position: int) -> int:
    """Return the end of the white space or comment that starts at `position`; /* */ comments nest."""
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


def _next(text: str, position: int) -> tuple[TokenKind, int]:
    for kind, pattern in _PATTERNS:
        found = pattern.match(text, position)
        if found is not None:
            return kind, found.end()
    if text[position] in "'\"`\u2018\u201c":
        raise _unfinished(text, position)
    return TokenKind.SYMBOL, position + 1


def _unfinished(text: str, position: int) -> QueryError:
    beginning = text[position : position + 20]
    return query_error(
        ErrorCode.SYNTAX_ERROR,
        f"Syntax error: what begins with {beginning!r} at position {position + 1} does not end.",
    )
