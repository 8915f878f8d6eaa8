"""One request's statement: which way its data flow, and where its clauses are."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused
from dataflix_clickhouse.tokens import Kind, Token, tokenize


class Shape(Enum):
    """How a statement's data flow: a result out, an insert's data in, or neither in any amount."""

    OUTPUT = "output"
    INSERT_DATA = "insert data"
    OTHER = "other"


_SELECTING = frozenset({"SELECT", "WITH", "FROM"})
_SHOWING = frozenset({"SHOW", "DESCRIBE", "DESC", "EXISTS"})
# Words after which FORMAT is a table's or column's name.
_BEFORE_NAME = frozenset({"FROM", "JOIN", "AS", "TABLE", "BY", "AND", "OR", "NOT", "IN", "WHERE", "SELECT"})


@dataclass(frozen=True)
class Statement:
    """A statement's text, ready to be given its source or its destination.

    `clause_start` is where INTO OUTFILE (of an output) or FROM INFILE (of an insert) belongs. `format` is the
    format the text itself asks for, and `format_start` where it does. `end` is where the statement ends, and
    an insert's own data begin. `is_select` says whether DESCRIBE can tell the result's columns.
    """

    shape: Shape
    text: str
    format: str | None
    clause_start: int
    format_start: int
    end: int
    is_select: bool = False

    @property
    def first_word(self) -> str:
        """The statement's first word, in capitals."""
        return next((token.keyword for token in tokenize(self.text)), "")

    @property
    def body(self) -> str:
        """The statement without its FORMAT clause and what follows it."""
        return self.text[: self.clause_start]

    @property
    def inline_data(self) -> str:
        """An insert's data in the statement's own text: what follows the format's name and one line end."""
        return self.text[self.end :].lstrip(" \t\f").removeprefix("\r").removeprefix("\n")

    def plain(self, tag: str) -> str:
        """Return the statement to be run as it is, with a comment by which it can be found."""
        return f"{self.text[: self.end]}\n/*{tag}*/"

    def reading_from(self, path: str, compression: str, tag: str) -> str:
        """Return the insert with its data taken from the file (or pipe) of this path."""
        settings = self.text[self.clause_start : self.format_start]
        source = f"FROM INFILE '{path}' COMPRESSION '{compression}' /*{tag}*/"
        return f"{self.body} {source} {settings} FORMAT {self.format}"

    def writing_to(self, path: str, default_format: str, compression: str, tag: str) -> str:
        """Return the statement with its result sent to the file (or pipe) of this path."""
        tail = self.text[self.clause_start : self.end]
        if self.format is None:
            tail = f"FORMAT {default_format} {tail}"
        return f"{self.body}\nINTO OUTFILE '{path}' TRUNCATE COMPRESSION '{compression}' /*{tag}*/ {tail}"


def parse(text: str) -> Statement:
    """Find the shape and the clauses of the one statement in `text`, which is not an insert of data.

    Raises:
        QueryError: the text is empty or holds more than one statement.
    """
    tokens = _one_statement(list(tokenize(text)))
    first, end = tokens[0], tokens[-1].end
    is_select = first.keyword in _SELECTING or first.text == "("
    inserts = any(token.keyword == "INSERT" and not token.depth for token in tokens)
    found = _trailing_format(tokens)
    if inserts or not (is_select or first.keyword in _SHOWING):
        # EXPLAIN is here, too: it would take INTO OUTFILE for a part of what it explains.
        return Statement(Shape.OTHER, text, found[1] if found else None, end, end, end)
    if found is not None:
        return Statement(Shape.OUTPUT, text, found[1], found[0], found[0], end, is_select)
    place = end if is_select else _settings_start(tokens)
    return Statement(Shape.OUTPUT, text, None, place, end, end, is_select)


def _one_statement(tokens: list[Token]) -> list[Token]:
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise refused(ErrorCode.SYNTAX_ERROR, "Syntax error: Empty query.")
    separator = next((token for token in tokens if token.text == ";" and token.kind is Kind.SYMBOL), None)
    if separator is not None:
        raise refused(
            ErrorCode.SYNTAX_ERROR,
            f"Syntax error (Multi-statements are not allowed): failed at position {separator.start + 1} (;).",
        )
    return tokens


def _trailing_format(tokens: list[Token]) -> tuple[int, str] | None:
    """Return the place and name of the last `FORMAT name`, when only SETTINGS may follow it."""
    for index in range(len(tokens) - 2, 0, -1):
        token, name, before = tokens[index], tokens[index + 1], tokens[index - 1]
        if token.keyword != "FORMAT" or token.depth or not name.name:
            continue
        is_name = before.keyword in _BEFORE_NAME or before.text in (".", ",")
        ends = index + 2 == len(tokens) or tokens[index + 2].keyword == "SETTINGS"
        if ends and not is_name:
            return token.start, name.name
    return None


def _settings_start(tokens: list[Token]) -> int:
    """Return where the SETTINGS of a statement without a SELECT's own begin, or its end."""
    settings = (token.start for token in tokens if token.keyword == "SETTINGS" and not token.depth)
    return next(settings, tokens[-1].end)


def parse_insert(text: str) -> Statement | None:
    """Return the statement when it is an insert whose data come with the request, else None.

    Raises:
        QueryError: the insert names a file of the server, or is cut off.
    """
    tokens = tokenize(text)
    first = next(tokens, None)
    if first is None or first.keyword != "INSERT":
        return None
    settings_start: int | None = None
    for token in _after_target(tokens):
        match token.keyword if not token.depth else "":
            case "SETTINGS":
                settings_start = token.start if settings_start is None else settings_start
            case "VALUES":
                return _insert(text, "Values", settings_start, token, token.end)
            case "FORMAT":
                name = next(tokens, None)
                if name is None or not name.name:
                    raise refused(ErrorCode.SYNTAX_ERROR, "Syntax error: FORMAT without a name.")
                return _insert(text, name.name, settings_start, token, name.end)
            case "INFILE":
                raise refused(
                    ErrorCode.UNKNOWN_TYPE_OF_QUERY, "Query has infile and was send directly to server."
                )
            case "SELECT" | "WITH":
                return None
    return None


def _insert(text: str, name: str, settings_start: int | None, token: Token, end: int) -> Statement:
    clause_start = token.start if settings_start is None else settings_start
    return Statement(Shape.INSERT_DATA, text, name, clause_start, token.start, end)


def _after_target(tokens: Iterator[Token]) -> Iterator[Token]:
    """Skip `[INTO] [TABLE] [FUNCTION] name[.name]` and yield the tokens behind it.

    The target is skipped because a table may be called `values` or `format`.
    """
    token = next(tokens, None)
    while token is not None and token.keyword in ("INTO", "TABLE", "FUNCTION"):
        token = next(tokens, None)
    token = next(tokens, None)
    while token is not None and token.text == ".":
        next(tokens, None)
        token = next(tokens, None)
    if token is not None:
        yield token
        yield from tokens
