"""Refuses statements and functions that grants do not control.

The engine enforces the grants of each account. But it runs inside this process, like clickhouse-local, so it
also lets every account change roles, read local files with a function, and name files in FROM INFILE and INTO
OUTFILE. This policy refuses those. It checks the statement as the engine itself formats it, just before the
engine runs it, so no comment, quoting or spelling can hide a word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error
from dataflix_clickhouse.sql.tokenizer import Token, TokenKind, tokenize

# First words of statements that every account may run, on what its grants allow. Not here: statements that
# change access (SET ROLE, EXECUTE AS, GRANT) or that work below the tables (ATTACH, BACKUP, SYSTEM).
_ALLOWED_FIRST_WORDS = frozenset(
    [
        "ALTER",
        "CHECK",
        "CREATE",
        "DELETE",
        "DESCRIBE",
        "DROP",
        "EXCHANGE",
        "EXISTS",
        "EXPLAIN",
        "INSERT",
        "OPTIMIZE",
        "RENAME",
        "SELECT",
        "SHOW",
        "TRUNCATE",
        "UNDROP",
        "UPDATE",
        "USE",
        "WITH",
    ]
)
# The scalar function that reads any file of the server. Functions can also be passed by name (`APPLY file`,
# `arrayMap(file, ...)`), so only the administrator may use the name at all.
_FILE_FUNCTION = "file"
# Table functions that run programs, read this process's memory, or run SQL that this check cannot see.
_ADMIN_TABLE_FUNCTIONS = frozenset({"arrowstream", "eval", "executable", "python"})
_ADMIN_ENGINES = frozenset({"ARROWSTREAM", "EXECUTABLE", "EXECUTABLEPOOL", "PYTHON", "QUERYRUNNER"})
# The format whose data may contain expressions, and so calls of `file()`.
_EXPRESSION_FORMAT = "VALUES"
# The settings that turn expressions in data on.
EXPRESSION_SETTINGS = frozenset(
    {"input_format_values_interpret_expressions", "input_format_values_deduce_templates_of_expressions"}
)
_KILL = re.compile(r"KILL QUERY WHERE \(?query_id = '((?:[^'\\]|\\.)*)'\)? (ASYNC|SYNC|TEST)\b")
# VALUES data that cannot hide a name: no quotes except '', no comments, no heredocs.
_PLAIN_VALUES = re.compile(
    r"(?:'(?:[^'\\]|\\.)*'|[^'\"`\u2018\u2019\u201c\u201d$#/-]|-(?!-)|/(?![*/]))*", re.DOTALL
)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)


@dataclass(frozen=True)
class KillRequest:
    """A KILL QUERY by query id; `mode` is ASYNC, SYNC or TEST."""

    query_id: str
    mode: str


def check(
    canonical: str, account: Account, own_file: str | None, params: Mapping[str, str]
) -> KillRequest | None:
    """Check that the account may run a statement.

    Args:
        canonical: the statement as the engine formats it.
        account: the account that runs it.
        own_file: the path of the pipe that this server put into INTO OUTFILE or FROM INFILE, if it did.
        params: the values of its `{name:Type}` parameters.

    Returns:
        The request to kill, if the statement is KILL QUERY by id.

    Raises:
        QueryError: the account may not run this statement.
    """
    tokens = list(tokenize(canonical))
    _check_files(tokens, own_file)
    _check_input(tokens)
    kill = _KILL.match(canonical)
    if kill is not None:
        return KillRequest(re.sub(r"\\(.)", r"\1", kill[1]), kill[2])
    if not account.is_admin:
        _check_kind(tokens, account)
        _check_names(tokens, account)
        _check_params(tokens, account, params)
    return None


def _check_files(tokens: list[Token], own_file: str | None) -> None:
    """Refuse every file except this server's own pipe."""
    for before, word, literal in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_clause = (before.text, word.text) in (("INTO", "OUTFILE"), ("FROM", "INFILE"))
        if is_clause and literal.kind is TokenKind.STRING and literal.text != f"'{own_file}'":
            raise query_error(
                ErrorCode.UNKNOWN_TYPE_OF_QUERY,
                f"{before.text} {word.text} names a file of the server, which a client cannot use.",
            )


def _check_input(tokens: list[Token]) -> None:
    """Refuse `INSERT ... SELECT ... FROM input(...)`: chDB finds no data for it and would insert nothing."""
    if tokens[0].text == "INSERT" and any(_calls(one, two, "input") for one, two in pairwise(tokens)):
        raise query_error(
            ErrorCode.NOT_IMPLEMENTED,
            "The table function input() is not supported; insert into a table, then INSERT ... SELECT.",
        )


def _calls(token: Token, following: Token, *names: str) -> bool:
    """Return whether two tokens start a call of one of these functions (no space before the bracket)."""
    return token.name.lower() in names and following.text == "(" and following.start == token.end


def _check_kind(tokens: list[Token], account: Account) -> None:
    first = tokens[0]
    second = tokens[1].text if len(tokens) > 1 else ""
    if first.text == "SET" and second not in ("DEFAULT", "ROLE", "TRANSACTION"):
        if any(token.name in EXPRESSION_SETTINGS for token in tokens):
            raise _denied(account, "change how VALUES computes")
        if any(token.name.startswith("param_") for token in tokens):
            raise _denied(account, "set query parameters for a session; send them with each request")
        return
    if first.text not in _ALLOWED_FIRST_WORDS and first.text != "(":
        raise _denied(account, f"run {first.text} {second}".rstrip())
    if any(one.text == "PARALLEL" and two.text == "WITH" for one, two in pairwise(tokens)):
        raise _denied(account, "run statements side by side with PARALLEL WITH")


def _check_names(tokens: list[Token], account: Account) -> None:
    for index, token in enumerate(tokens):
        name = token.name
        following = tokens[index + 1] if index + 1 < len(tokens) else token
        if name == _FILE_FUNCTION or _calls(token, following, *_ADMIN_TABLE_FUNCTIONS):
            raise _denied(account, f"use the function (or any other thing called) {name}")
        if name == "ENGINE" and following.text == "=":
            engine = tokens[index + 2].name if index + 2 < len(tokens) else ""
            if engine.upper() in _ADMIN_ENGINES:
                raise _denied(account, f"use the table engine {engine}")
        if name.lower() == "format" and following.text == "(" and _has_expressions(tokens[index + 2]):
            raise _denied(account, "compute the format Values in a table function")
        if name in EXPRESSION_SETTINGS:
            raise _denied(account, "change how VALUES computes")


def _check_params(tokens: list[Token], account: Account, params: Mapping[str, str]) -> None:
    """Refuse a parameter of type Identifier whose value could be the name of the function `file`."""
    if not any(colon.text == ":" and kind.text == "Identifier" for colon, kind in pairwise(tokens)):
        return
    if tokens[0].text in ("ALTER", "CREATE"):
        raise _denied(account, "leave the name in a view or table to a parameter")
    if any(value == _FILE_FUNCTION or "\\" in value for value in params.values()):
        raise _denied(account, f"use {_FILE_FUNCTION} or a backslash in a parameter for a name")


def _has_expressions(token: Token) -> bool:
    return (token.name or token.text.strip("'")).upper() == _EXPRESSION_FORMAT


def is_safe_values_data(data: str) -> bool:
    """Return whether VALUES data certainly call no function that only the administrator may use."""
    if _PLAIN_VALUES.fullmatch(data) is None:
        return False
    words = {word.lower() for word in re.findall(r"\w+", _STRING.sub("''", data))}
    return not words & (_ADMIN_TABLE_FUNCTIONS | {_FILE_FUNCTION, "format", "identifier"})


def _denied(account: Account, what: str) -> QueryError:
    return query_error(ErrorCode.ACCESS_DENIED, f"{account.name}: Not enough privileges to {what}.")
