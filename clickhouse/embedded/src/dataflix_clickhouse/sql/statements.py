"""Parses the statement of a request: its kind, and the positions of its clauses."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import query_error
from dataflix_clickhouse.sql.tokenizer import Token, TokenKind, tokenize


class StatementKind(Enum):
    """Where the data of a statement go: a result out, insert data in, or neither (DDL, SET, KILL)."""

    OUTPUT = "output"
    INSERT_DATA = "insert data"
    OTHER = "other"


_SELECT_WORDS = frozenset({"SELECT", "WITH", "FROM"})
_SHOW_WORDS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXISTS"})
# After one of these words, FORMAT is the name of a table or column.
_WORDS_BEFORE_NAME = frozenset(
    {"FROM", "JOIN", "AS", "TABLE", "BY", "AND", "OR", "NOT", "IN", "WHERE", "SELECT"}
)


# Well below log_queries_cut_to_length, which counts bytes.
LONG_STATEMENT = 20_000


@dataclass(frozen=True)
class Statement:
    """A parsed statement; methods add an input or output file to its text.

    Attributes:
        kind: where its data go.
        text: the whole text of the request.
        format: the format that the text names, if it does.
        clause_start: index where INTO OUTFILE (of a query) or FROM INFILE (of an insert) belongs.
        format_start: index of the FORMAT clause.
        end: index after the statement; the inline data of an insert start here.
        is_select: whether DESCRIBE can list the columns of the result.
    """

    kind: StatementKind
    text: str
    format: str | None
    clause_start: int
    format_start: int
    end: int
    is_select: bool = False

    @property
    def first_word(self) -> str:
        """The first word of the statement in upper case."""
        return next((token.keyword for token in tokenize(self.text)), "")

    @property
    def changes_session(self) -> bool:
        """Whether it may leave something in its session: a setting, a database, a temporary table."""
        words = [token.keyword for token, _ in zip(tokenize(self.text), range(4), strict=False)]
        return words[0] in ("SET", "USE", "BEGIN") or "TEMPORARY" in words

    @property
    def body(self) -> str:
        """The text before the FORMAT clause."""
        return self.text[: self.clause_start]

    @property
    def inline_data(self) -> str:
        """Insert data in the statement's own text: everything after the format name and one line break."""
        return self.text[self.end :].lstrip(" \t\f").removeprefix("\r").removeprefix("\n")

    def with_tag(self, tag: str) -> str:
        """Return the statement unchanged, plus a comment that identifies it in system.processes."""
        return _tagged(self.text[: self.end], tag)

    def with_input_file(self, path: str, compression: str, tag: str) -> str:
        """Return the insert with a FROM INFILE clause, so that it reads its data from a file or pipe."""
        settings = self.text[self.clause_start : self.format_start]
        source = f"FROM INFILE '{path}' COMPRESSION '{compression}'"
        return _tagged(f"{self.body} {source} {settings} FORMAT {self.format}", tag)

    def with_output_file(self, path: str, default_format: str, compression: str, tag: str) -> str:
        """Return the query with an INTO OUTFILE clause, so that it writes its result to a file or pipe."""
        tail = self.text[self.clause_start : self.end]
        if self.format is None:
            tail = f"FORMAT {default_format} {tail}"
        target = f"INTO OUTFILE '{path}' TRUNCATE COMPRESSION '{compression}'"
        return _tagged(f"{self.body}\n{target} {tail}", tag)


def _tagged(text: str, tag: str) -> str:
    """Add a comment to a statement: at its end, where readers of system.processes do not mind it.

    system.processes has the beginning of a long statement only, so there the comment comes first.
    """
    return f"{text}\n/*{tag}*/" if len(text) < LONG_STATEMENT else f"/*{tag}*/ {text}"


def parse(text: str) -> Statement:
    """Parse a text with one statement that is not an insert with data.

    Raises:
        QueryError: the text is empty or has more than one statement.
    """
    tokens = _one_statement(list(tokenize(text)))
    first, end = tokens[0], tokens[-1].end
    is_select = first.keyword in _SELECT_WORDS or first.text == "("
    is_insert = first.keyword == "INSERT" or (first.keyword == "WITH" and _inserts(tokens))
    trailing_format = _trailing_format(tokens)
    if is_insert or not (is_select or first.keyword in _SHOW_WORDS):
        # EXPLAIN belongs here too: it would treat INTO OUTFILE as a part of the explained query.
        return Statement(
            StatementKind.OTHER, text, trailing_format[1] if trailing_format else None, end, end, end
        )
    if trailing_format is not None:
        start, name = trailing_format
        return Statement(StatementKind.OUTPUT, text, name, start, start, end, is_select)
    clause_start = end if is_select else _settings_start(tokens)
    return Statement(StatementKind.OUTPUT, text, None, clause_start, end, end, is_select)


def _inserts(tokens: list[Token]) -> bool:
    """Return whether `WITH ...` is followed by an INSERT; the word may also name what WITH defines."""
    for before, token in pairwise(tokens):
        is_name = before.keyword in ("AS", "WITH", "RECURSIVE") or before.text in (",", ".")
        if not token.depth and not is_name:
            if token.keyword == "SELECT":
                return False
            if token.keyword == "INSERT":
                return True
    return False


def _one_statement(tokens: list[Token]) -> list[Token]:
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise query_error(ErrorCode.SYNTAX_ERROR, "Syntax error: Empty query.")
    separator = next(
        (token for token in tokens if token.text == ";" and token.kind is TokenKind.SYMBOL), None
    )
    if separator is not None:
        raise query_error(
            ErrorCode.SYNTAX_ERROR,
            f"Syntax error (Multi-statements are not allowed): failed at position {separator.start + 1} (;).",
        )
    return tokens


def _trailing_format(tokens: list[Token]) -> tuple[int, str] | None:
    """Return the index and name of the trailing `FORMAT name`; only SETTINGS may follow it."""
    for index in range(len(tokens) - 2, 0, -1):
        token, name, before = tokens[index], tokens[index + 1], tokens[index - 1]
        if token.keyword != "FORMAT" or token.depth or not name.name:
            continue
        is_name = before.keyword in _WORDS_BEFORE_NAME or before.text in (".", ",")
        ends = index + 2 == len(tokens) or tokens[index + 2].keyword == "SETTINGS"
        if ends and not is_name:
            return token.start, name.name
    return None


def _settings_start(tokens: list[Token]) -> int:
    """Return the index of the trailing SETTINGS clause of a SHOW or DESCRIBE, or the end of the statement."""
    settings = (token.start for token in tokens if token.keyword == "SETTINGS" and not token.depth)
    return next(settings, tokens[-1].end)


def parse_insert(text: str) -> Statement | None:
    """Parse an insert whose data come with the request; return None for any other statement.

    Raises:
        QueryError: the insert names a file of the server, or FORMAT has no name.
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
                    raise query_error(ErrorCode.SYNTAX_ERROR, "Syntax error: FORMAT without a name.")
                return _insert(text, name.name, settings_start, token, name.end)
            case "INFILE":
                raise query_error(
                    ErrorCode.UNKNOWN_TYPE_OF_QUERY, "Query has infile and was send directly to server."
                )
            case "SELECT" | "WITH":
                return None
    return None


def _insert(text: str, name: str, settings_start: int | None, token: Token, end: int) -> Statement:
    clause_start = token.start if settings_start is None else settings_start
    return Statement(StatementKind.INSERT_DATA, text, name, clause_start, token.start, end)


def _after_target(tokens: Iterator[Token]) -> Iterator[Token]:
    """Skip `[INTO] [TABLE] [FUNCTION] name[.name]` and yield the tokens after it.

    The target is skipped because a table may have the name `values` or `format`.
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
