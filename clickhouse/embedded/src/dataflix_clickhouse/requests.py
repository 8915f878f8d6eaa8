"""What an HTTP request asks for, before any of it is run."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from dataflix_clickhouse.errors import ErrorCode, QueryError

# Parameters of the interface itself; every other one is a setting of the engine.
_RESERVED = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMAT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TRUE = ("1", "true")


@dataclass(frozen=True)
class Request:
    """One request to the query interface, its parameters taken apart."""

    method: str
    headers: dict[str, str]
    arguments: dict[str, str]
    settings: dict[str, str]
    params: dict[str, str]
    query_id: str

    @property
    def database(self) -> str | None:
        """The database to work in, when one is named."""
        return self.arguments.get("database") or self.headers.get("x-clickhouse-database")

    @property
    def default_format(self) -> str:
        """The format of the answer when the statement names none.

        Raises:
            QueryError: it is not a format's name.
        """
        name = (
            self.arguments.get("default_format") or self.headers.get("x-clickhouse-format") or "TabSeparated"
        )
        if _FORMAT_NAME.fullmatch(name) is None:
            raise QueryError(ErrorCode.UNKNOWN_FORMAT, f"Unknown format {name}. (UNKNOWN_FORMAT)")
        return name

    @property
    def waits_for_end(self) -> bool:
        """Whether the answer may only start when the query has ended."""
        return self.arguments.get("wait_end_of_query", "") in _TRUE

    @property
    def credentials(self) -> tuple[str, str]:
        """The name and password, from whichever place they were put.

        Raises:
            QueryError: the Authorization header is not Basic, or is malformed.
        """
        if "x-clickhouse-user" in self.headers or "x-clickhouse-key" in self.headers:
            return self.headers.get("x-clickhouse-user", "default"), self.headers.get("x-clickhouse-key", "")
        authorization = self.headers.get("authorization")
        if authorization is not None:
            return _basic(authorization)
        return self.arguments.get("user", "default"), self.arguments.get("password", "")


def parse(scope: dict[str, Any]) -> Request:
    """Take an ASGI scope apart.

    Raises:
        QueryError: a parameter's name cannot be a setting's.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    pairs = parse_qsl(
        scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape"
    )
    arguments, settings, params = _sorted_out(pairs)
    query_id = arguments.get("query_id") or str(uuid.uuid4())
    return Request(scope["method"], headers, arguments, settings, params, query_id)


def _sorted_out(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    arguments: dict[str, str] = {}
    settings: dict[str, str] = {}
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in _RESERVED:
            arguments[name] = value
        elif name.startswith("param_"):
            params[name.removeprefix("param_")] = value
        elif _SETTING_NAME.fullmatch(name) is None:
            raise QueryError(ErrorCode.UNKNOWN_SETTING, f"Unknown setting {name!r}. (UNKNOWN_SETTING)")
        else:
            settings[name] = value
    return arguments, settings, params


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise QueryError(
            ErrorCode.AUTHENTICATION_FAILED, "Authorization must be Basic, with user:password in base64."
        )
    return user, password
