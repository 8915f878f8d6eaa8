"""What no grant can say: statements and functions that only the administrator may use, or nobody.

The engine enforces every account's grants itself. It runs inside this process, though, as clickhouse-local
does: it would let anybody change roles, read the machine's files by a function, and name files in FROM INFILE
and INTO OUTFILE. All of that is refused here, on the engine's own formatting of the statement it is about to
run, so that no comment, quoting or spelling can hide a word from the check.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, refused
from dataflix_clickhouse.tokens import Kind, Token, tokenize
from dataflix_clickhouse.users import Account

# First words of the statements that every account may send; its grants say on what. Left out are those that
# change access (SET ROLE, EXECUTE AS, GRANT), and those that reach behind tables (ATTACH, BACKUP, SYSTEM).
_OPEN_TO_ALL = frozenset(
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
# The scalar function that reads any file of the server. Functions are also passed by name (`APPLY file`,
# `arrayMap(file, ...)`), so the name itself is kept from everybody else.
_FILE = "file"
# Table functions that run the server's programs, read its memory, or run SQL that this check cannot see.
_ADMIN_TABLE_FUNCTIONS = frozenset({"arrowstream", "eval", "executable", "python"})
_ADMIN_ENGINES = frozenset({"ARROWSTREAM", "EXECUTABLE", "EXECUTABLEPOOL", "PYTHON", "QUERYRUNNER"})
# The format that computes expressions; by way of one, `file()` could be called from data.
_COMPUTING_FORMAT = "VALUES"
# Switches that on.
COMPUTING_SETTINGS = frozenset(
    {"input_format_values_interpret_expressions", "input_format_values_deduce_templates_of_expressions"}
)
_KILL = re.compile(r"KILL QUERY WHERE \(?query_id = '((?:[^'\\]|\\.)*)'\)? (ASYNC|SYNC|TEST)\b")
# Data of an INSERT ... VALUES in which no name can hide: no quotes but '', no comments, no heredocs.
_PLAIN_VALUES = re.compile(
    r"(?:'(?:[^'\\]|\\.)*'|[^'\"`\u2018\u2019\u201c\u201d$#/-]|-(?!-)|/(?![*/]))*", re.DOTALL
)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)


@dataclass(frozen=True)
class Kill:
    """A request to end the query with this id, wherever it is in the engine."""

    query_id: str
    mode: str


def check(canonical: str, account: Account, own_file: str | None, params: Mapping[str, str]) -> Kill | None:
    """Refuse what the account may not run.

    `canonical` is the statement as the engine formats it, `params` the values of its `{name:Type}`, and
    `own_file` the pipe that the server itself has put into INTO OUTFILE or FROM INFILE. Returns what to kill
    when the statement is a KILL QUERY by id.

    Raises:
        QueryError: the account may not run this statement.
    """
    tokens = list(tokenize(canonical))
    _check_files(tokens, own_file)
    _check_input(tokens)
    kill = _KILL.match(canonical)
    if kill is not None:
        return Kill(re.sub(r"\\(.)", r"\1", kill[1]), kill[2])
    if not account.is_admin:
        _check_kind(tokens, account)
        _check_names(tokens, account)
        _check_params(tokens, account, params)
    return None


def _check_files(tokens: list[Token], own_file: str | None) -> None:
    """Allow no file but the server's own pipe."""
    for before, word, literal in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_clause = (before.text, word.text) in (("INTO", "OUTFILE"), ("FROM", "INFILE"))
        if is_clause and literal.kind is Kind.STRING and literal.text != f"'{own_file}'":
            raise refused(
                ErrorCode.UNKNOWN_TYPE_OF_QUERY,
                f"{before.text} {word.text} names a file of the server, which a client cannot use.",
            )


def _check_input(tokens: list[Token]) -> None:
    """Refuse `INSERT ... SELECT ... FROM input(...)`: chDB would find no data for it, and insert nothing."""
    if tokens[0].text == "INSERT" and any(_calls(one, two, "input") for one, two in pairwise(tokens)):
        raise refused(
            ErrorCode.NOT_IMPLEMENTED,
            "The table function input() is not supported; insert into a table, then INSERT ... SELECT.",
        )


def _calls(token: Token, following: Token, *names: str) -> bool:
    """Say whether the tokens begin a call of one of these functions, which are written without a gap."""
    return token.name.lower() in names and following.text == "(" and following.start == token.end


def _check_kind(tokens: list[Token], account: Account) -> None:
    first = tokens[0]
    second = tokens[1].text if len(tokens) > 1 else ""
    if first.text == "SET" and second not in ("DEFAULT", "ROLE", "TRANSACTION"):
        if any(token.name in COMPUTING_SETTINGS for token in tokens):
            raise _denied(account, "change how VALUES computes")
        if any(token.name.startswith("param_") for token in tokens):
            raise _denied(account, "set query parameters for a session; send them with each request")
        return
    if first.text not in _OPEN_TO_ALL and first.text != "(":
        raise _denied(account, f"run {first.text} {second}".rstrip())
    if any(one.text == "PARALLEL" and two.text == "WITH" for one, two in pairwise(tokens)):
        raise _denied(account, "run statements side by side with PARALLEL WITH")


def _check_names(tokens: list[Token], account: Account) -> None:
    for index, token in enumerate(tokens):
        name = token.name
        following = tokens[index + 1] if index + 1 < len(tokens) else token
        if name == _FILE or _calls(token, following, *_ADMIN_TABLE_FUNCTIONS):
            raise _denied(account, f"use the function (or any other thing called) {name}")
        if name == "ENGINE" and following.text == "=":
            engine = tokens[index + 2].name if index + 2 < len(tokens) else ""
            if engine.upper() in _ADMIN_ENGINES:
                raise _denied(account, f"use the table engine {engine}")
        if name.lower() == "format" and following.text == "(" and _is_computing(tokens[index + 2]):
            raise _denied(account, "compute the format Values in a table function")
        if name in COMPUTING_SETTINGS:
            raise _denied(account, "change how VALUES computes")


def _check_params(tokens: list[Token], account: Account, params: Mapping[str, str]) -> None:
    """Keep a parameter that stands for a name from standing for the function's."""
    if not any(colon.text == ":" and kind.text == "Identifier" for colon, kind in pairwise(tokens)):
        return
    if tokens[0].text in ("ALTER", "CREATE"):
        raise _denied(account, "leave the name in a view or table to a parameter")
    if any(value == _FILE or "\\" in value for value in params.values()):
        raise _denied(account, f"use {_FILE} or a backslash in a parameter for a name")


def _is_computing(token: Token) -> bool:
    return (token.name or token.text.strip("'")).upper() == _COMPUTING_FORMAT


def may_compute(data: str) -> bool:
    """Say whether the whole data of an INSERT ... VALUES clearly call no function of the administrator's."""
    if _PLAIN_VALUES.fullmatch(data) is None:
        return False
    words = {word.lower() for word in re.findall(r"\w+", _STRING.sub("''", data))}
    return not words & (_ADMIN_TABLE_FUNCTIONS | {_FILE, "format", "identifier"})


def _denied(account: Account, what: str) -> QueryError:
    return refused(ErrorCode.ACCESS_DENIED, f"{account.name}: Not enough privileges to {what}.")
