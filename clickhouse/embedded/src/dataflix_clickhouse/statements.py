"""One request's statement: which way it runs, and where its clauses are."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dataflix_clickhouse.errors import ErrorCode, QueryError
from dataflix_clickhouse.tokens import Kind, Token, tokenize


class Shape(Enum):
    """How a statement's data flow."""

    OUTPUT = "output"
    INSERT_DATA = "insert data"
    OTHER = "other"


@dataclass(frozen=True)
class Statement:
    """A statement's text, ready to be given its source or its destination.

    `clause_start` is the position at which INTO OUTFILE (an output) or FROM INFILE (an insert of data) has to stand.
    `format` is the format the text itself asks for, and `data_start` where the statement ends and an insert's
    inline data begin. `is_select` says whether DESCRIBE can tell the columns of the result.
    """

    shape: Shape
    text: str
    format: str | None
    clause_start: int
    data_start: int
    is_select: bool = False

    @property
    def body(self) -> str:
        """The statement without its FORMAT clause and what follows it."""
        return self.text[: self.clause_start]

    def reading_from(self, path: str) -> str:
        """Return the insert with its data taken from a file (or pipe) of this path."""
        head, tail = self.text[: self.clause_start], self.text[self.clause_start : self.data_start]
        if self.format == "Values":
            tail = f"{tail.rstrip()[: -len('VALUES')]} FORMAT Values"
        return f"{head} FROM INFILE '{path}' COMPRESSION 'none' {tail}"

    def writing_to(self, path: str, default_format: str, compression: str = "none") -> str:
        """Return the statement with its result sent to a file (or pipe) of this path."""
        tail = self.text[self.clause_start : self.data_start]
        if self.format is None:
            tail = f"FORMAT {default_format} {tail}"
        return f"{self.body}\nINTO OUTFILE '{path}' TRUNCATE COMPRESSION '{compression}' {tail}"


def parse(text: str) -> Statement:
    """Find the shape and the clauses of the one statement in `text`.

    Raises:
        QueryError: the text is empty, holds more than one statement, or names a file of the server.
    """
    tokens = tokenize(text)
    first = next(tokens, None)
    if first is None:
        raise QueryError(ErrorCode.SYNTAX_ERROR, "Syntax error: Empty query. (SYNTAX_ERROR)")
    every = [first, *tokens]
    end = _end(every)
    meaningful = [token for token in every if token.end <= end]
    is_select = first.keyword in ("SELECT", "WITH", "FROM") or first.text == "("
    writes = any(token.keyword == "INSERT" and not token.depth for token in meaningful)
    if writes or not (is_select or first.keyword in _SHOWING):
        return Statement(Shape.OTHER, text[:end], None, end, end)
    format_token = _trailing_format(meaningful)
    if format_token is not None:
        return Statement(Shape.OUTPUT, text, format_token[1], format_token[0], end, is_select)
    place = end if is_select else _settings_start(meaningful, end)
    return Statement(Shape.OUTPUT, text, None, place, end, is_select)


def _end(tokens: list[Token]) -> int:
    """Return where the statement ends, its closing semicolons left out."""
    last = len(tokens)
    while last and tokens[last - 1].text == ";":
        last -= 1
    for token in tokens[:last]:
        if token.text == ";" and token.kind is Kind.SYMBOL:
            raise QueryError(
                ErrorCode.SYNTAX_ERROR,
                f"Syntax error (Multi-statements are not allowed): failed at position {token.start + 1}: ;. "
                "(SYNTAX_ERROR)",
            )
    if not last:
        raise QueryError(ErrorCode.SYNTAX_ERROR, "Syntax error: Empty query. (SYNTAX_ERROR)")
    return tokens[last - 1].end


_SHOWING = frozenset({"SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})


def _settings_start(tokens: list[Token], end: int) -> int:
    """Return where the SETTINGS of a statement without clauses of its own begin, or its end."""
    return next((token.start for token in tokens if token.keyword == "SETTINGS" and not token.depth), end)


_NAME_FOLLOWS = frozenset({"FROM", "JOIN", "AS", "TABLE", "BY", "AND", "OR", "NOT", "IN", "WHERE", "SELECT"})


def _trailing_format(tokens: list[Token]) -> tuple[int, str] | None:
    """Return the place and name of the last `FORMAT name`, when only SETTINGS may follow it."""
    for index in range(len(tokens) - 2, 0, -1):
        token, name, before = tokens[index], tokens[index + 1], tokens[index - 1]
        if token.keyword != "FORMAT" or token.depth or name.kind is not Kind.WORD:
            continue
        after = tokens[index + 2].keyword if index + 2 < len(tokens) else "SETTINGS"
        is_name = before.keyword in _NAME_FOLLOWS or before.text in (".", ",")
        if after == "SETTINGS" and not is_name:
            return token.start, name.text
    return None


def parse_insert(text: str) -> Statement | None:
    """Return an insert whose data come with the request; None for INSERT ... SELECT and the like."""
    tokens = tokenize(text)
    first = next(tokens, None)
    if first is None or first.keyword != "INSERT":
        return None
    token = _after_target(tokens)
    clause_start: int | None = None
    while token is not None:
        keyword = token.keyword if token.depth == 0 else ""
        if keyword == "SETTINGS":
            clause_start = token.start if clause_start is None else clause_start
        elif keyword == "VALUES":
            start = token.start if clause_start is None else clause_start
            return Statement(Shape.INSERT_DATA, text, "Values", start, token.end)
        elif keyword == "FORMAT":
            name = next(tokens, None)
            if name is None or name.kind is not Kind.WORD:
                raise QueryError(
                    ErrorCode.SYNTAX_ERROR, "Syntax error: FORMAT without a name. (SYNTAX_ERROR)"
                )
            start = token.start if clause_start is None else clause_start
            return Statement(Shape.INSERT_DATA, text, name.text, start, name.end)
        elif keyword == "INFILE":
            raise QueryError(
                ErrorCode.UNKNOWN_TYPE_OF_QUERY,
                "Query has infile and was send directly to server. (UNKNOWN_TYPE_OF_QUERY)",
            )
        elif keyword in ("SELECT", "WITH", "WATCH"):
            return None
        token = next(tokens, None)
    return None


def _after_target(tokens: Iterator[Token]) -> Token | None:
    """Skip `[INTO] [TABLE] [FUNCTION] name[.name]` and return the token behind it."""
    token = next(tokens, None)
    while token is not None and token.keyword in ("INTO", "TABLE", "FUNCTION"):
        token = next(tokens, None)
    token = next(tokens, None)
    while token is not None and token.text == ".":
        next(tokens, None)
        token = next(tokens, None)
    return token
