"""Refuses statements and functions that grants do not control.

The engine enforces the grants of each account. But it runs inside this process, like clickhouse-local, so it
also lets every account change roles, read local files with a function, and name files in FROM INFILE and INTO
OUTFILE. This policy refuses those. It checks the statement as the engine itself formats it, just before the
engine runs it, so no comment, quoting or spelling can hide a word.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.access.statement_lists import (
    AFTER_TABLES,
    ALLOWED_ENGINES,
    ALLOWED_FIRST_WORDS,
    ALLOWED_TABLE_SETTINGS,
    FILE_FUNCTION,
    IN_FUNCTIONS,
    LOADED_DATABASE,
    REFUSED_PAIRS,
    REFUSED_TABLE_FUNCTIONS,
)
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error
from dataflix_clickhouse.sql.tokenizer import Token, TokenKind, tokenize

# The format whose data may contain expressions, and so calls of `file()`.
_EXPRESSION_FORMAT = "VALUES"
# The settings that turn expressions in data on.
EXPRESSION_SETTINGS = frozenset(
    {"input_format_values_interpret_expressions", "input_format_values_deduce_templates_of_expressions"}
)
# The setting that exchanges the bounds of an account's other settings for those of another account.
PROFILE_SETTING = "profile"
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
    _check_disks(tokens, account)
    kill = _KILL.match(canonical)
    if kill is not None:
        return KillRequest(re.sub(r"\\(.)", r"\1", kill[1]), kill[2])
    if not account.is_admin:
        _check_kind(tokens, account)
        _check_names(tokens, account)
        _check_tables(tokens, account)
        _check_mutation(tokens, account)
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


def _check_disks(tokens: list[Token], account: Account) -> None:
    """Refuse `disk(...)`, except in BACKUP and RESTORE, where it names a disk that exists.

    The engine makes the disk first and refuses the table then. Such a disk makes a later DROP TABLE ... SYNC
    hang, and the engine does not start when the disk's server is away. So not even the administrator may.
    """
    if tokens[0].text not in ("BACKUP", "RESTORE") and any(
        _calls(one, two, "disk") for one, two in pairwise(tokens)
    ):
        raise _denied(account, "keep a table on a disk of its own")


def _check_tables(tokens: list[Token], account: Account) -> None:
    """Refuse engines and settings of tables that are not on the lists, and views with others' rights."""
    first = tokens[0].text
    if first not in ("ALTER", "CREATE"):
        return
    for one, two in pairwise(tokens):
        if (one.text, two.text) in REFUSED_PAIRS:
            raise _denied(account, REFUSED_PAIRS[one.text, two.text])
    if first == "CREATE":
        for token, equals, engine in zip(tokens, tokens[1:], tokens[2:], strict=False):
            is_engine = token.text == "ENGINE" and equals.text == "="
            if is_engine and engine.name not in ALLOWED_ENGINES:
                raise _denied(account, f"use the table engine {engine.name or engine.text}")
    definition = tokens[: _query_start(tokens)] if first == "CREATE" else tokens
    if first == "CREATE" and any(token.text == "SELECT" for token in definition):
        raise _denied(account, "define a table with a subquery")
    for name in _settings(definition, "SETTINGS" if first == "CREATE" else "SETTING"):
        if name not in ALLOWED_TABLE_SETTINGS:
            raise _denied(account, f"choose the setting {name} of a table")


def _check_mutation(tokens: list[Token], account: Account) -> None:
    """Refuse changes of rows that read other tables than those of loads.

    The engine reads for them in the background, where it knows no account: neither grants nor row policies
    apply there. So a change, or a view in it, could copy what the account may not see.
    """
    if tokens[0].text not in ("ALTER", "CREATE", "DELETE", "UPDATE"):
        return
    definition = tokens[: _query_start(tokens)] if tokens[0].text == "CREATE" else tokens
    is_in_query = False
    for index, token in enumerate(definition[:-2]):
        one, two = definition[index + 1], definition[index + 2]
        is_in_query |= token.text == "SELECT"
        is_loaded = one.name == LOADED_DATABASE and two.text == "."
        match token.text:
            case "IN":
                named = two if one.text == "(" else one
                after = definition[index + 3 : index + 4] if one.text == "(" else [two]
                is_name = bool(named.name) and named.name.upper() not in ("NULL", "SELECT", "TRUE", "WITH")
                is_allowed = is_loaded or one.text == "PARTITION" or not is_name
                if one.text == "{" or not (is_allowed or (after and after[0].text not in (".", ")"))):
                    raise _denied(account, "compare with other tables in a change of rows")
            case "FROM" | "JOIN" if is_in_query:
                is_query = one.text == "(" and two.text in ("(", "SELECT", "WITH")
                if not (is_loaded or is_query) or _has_more_tables(definition[index + 1 :], token.depth):
                    raise _denied(account, "read other tables in a change of rows")
            case _ if _calls(token, one, *IN_FUNCTIONS):
                raise _denied(account, f"use the function {token.name} in a change of rows")


def _has_more_tables(tokens: list[Token], depth: int) -> bool:
    """Return whether a comma follows in the list of tables whose FROM is before these tokens."""
    for before, token in pairwise(tokens):
        if token.depth < depth or (token.text in AFTER_TABLES and before.text != "AS"):
            return False
        if token.text == "," and token.depth == depth:
            return True
    return False


def _query_start(tokens: list[Token]) -> int:
    """Return the index of the query of CREATE ... AS; its settings are those of a query."""
    for index, (one, two) in enumerate(pairwise(tokens)):
        if one.text == "AS" and not one.depth and two.text in ("SELECT", "WITH", "("):
            return index
    return len(tokens)


def _settings(tokens: list[Token], word: str) -> Iterator[str]:
    """Yield the names in lists of settings, `word name = value, ...`; too many rather than too few."""
    depth: int | None = None
    for token, following in pairwise(tokens):
        if token.text == word and token.kind is TokenKind.WORD:
            depth = token.depth
        elif depth is not None and token.depth < depth:
            depth = None
        elif depth is not None and token.name and following.text == "=":
            yield token.name


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
        if PROFILE_SETTING in _settings(tokens, "SET"):
            raise _denied(account, "change the profile")
        return
    if first.text not in ALLOWED_FIRST_WORDS and first.text != "(":
        raise _denied(account, f"run {first.text} {second}".rstrip())
    if any(one.text == "PARALLEL" and two.text == "WITH" for one, two in pairwise(tokens)):
        raise _denied(account, "run statements side by side with PARALLEL WITH")
    if PROFILE_SETTING in _settings(tokens, "SETTINGS"):
        raise _denied(account, "change the profile")


def _check_names(tokens: list[Token], account: Account) -> None:
    for index, token in enumerate(tokens):
        name = token.name
        following = tokens[index + 1] if index + 1 < len(tokens) else token
        if name == FILE_FUNCTION or _calls(token, following, *REFUSED_TABLE_FUNCTIONS):
            raise _denied(account, f"use the function (or any other thing called) {name}")
        if name.lower() == "format" and following.text == "(" and _has_expressions(tokens[index + 2]):
            raise _denied(account, "compute the format Values in a table function")
        if name in EXPRESSION_SETTINGS:
            raise _denied(account, "change how VALUES computes")


def _check_params(tokens: list[Token], account: Account, params: Mapping[str, str]) -> None:
    """Refuse a parameter of type Identifier whose value could be the name of the function `file`."""
    if not any(colon.text == ":" and kind.text == "Identifier" for colon, kind in pairwise(tokens)):
        return
    if tokens[0].text in ("ALTER", "CREATE", "DELETE", "UPDATE"):
        raise _denied(account, "leave the name in a change, view or table to a parameter")
    if any(value == FILE_FUNCTION or "\\" in value for value in params.values()):
        raise _denied(account, f"use {FILE_FUNCTION} or a backslash in a parameter for a name")


def _has_expressions(token: Token) -> bool:
    return (token.name or token.text.strip("'")).upper() == _EXPRESSION_FORMAT


def is_safe_values_data(data: str) -> bool:
    """Return whether VALUES data certainly call no function that only the administrator may use."""
    if _PLAIN_VALUES.fullmatch(data) is None:
        return False
    words = {word.lower() for word in re.findall(r"\w+", _STRING.sub("''", data))}
    return not words & (REFUSED_TABLE_FUNCTIONS | {FILE_FUNCTION, "format", "identifier"})


def _denied(account: Account, what: str) -> QueryError:
    return query_error(ErrorCode.ACCESS_DENIED, f"{account.name}: Not enough privileges to {what}.")
