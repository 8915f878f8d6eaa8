"""What an HTTP request asks for, before any of it is run."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused
from dataflix_clickhouse.users import Account

# Parameters of the interface itself; every other one is a setting of the engine.
_ARGUMENTS = frozenset(
    [
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
    ]
)
# Settings of a server's HTTP side: this server's own behaviour, of no meaning to the engine.
_HTTP_SETTINGS = frozenset(
    [
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_wait_end_of_query",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
    ]
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMAT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
# ClickHouse's max_query_size: a statement's own text, an insert's data not counted.
DEFAULT_MAX_QUERY_BYTES = 262_144
LARGEST_MAX_QUERY_BYTES = 16 << 20


@dataclass(frozen=True)
class Request:
    """One request to the query interface, its parameters taken apart."""

    method: str
    headers: dict[str, str]
    arguments: dict[str, str]
    settings: dict[str, str]
    params: dict[str, str]
    query_id: str

    @classmethod
    def of(cls, scope: dict[str, Any], form: Iterable[tuple[str, str]] = (), query_id: str = "") -> Self:
        """Take an ASGI scope apart, and the fields of its form if it has one.

        The query's id is made up when neither the request nor `query_id` has one.

        Raises:
            QueryError: a parameter's name cannot be a setting's.
        """
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query_string = scope["query_string"].decode("latin-1")
        arguments: dict[str, str] = {}
        settings: dict[str, str] = {}
        params: dict[str, str] = {}
        for name, value in (
            *parse_qsl(query_string, keep_blank_values=True, errors="surrogateescape"),
            *form,
        ):
            if name in _ARGUMENTS:
                arguments[name] = value
            elif name.startswith("param_"):
                params[name.removeprefix("param_")] = value
            elif _SETTING_NAME.fullmatch(name) is None:
                raise refused(ErrorCode.UNKNOWN_SETTING, f"Unknown setting {name!r}.")
            else:
                settings[name] = value
        query_id = arguments.get("query_id") or query_id or str(uuid.uuid4())
        return cls(scope["method"], headers, arguments, settings, params, query_id)

    @property
    def engine_settings(self) -> dict[str, str]:
        """The settings that are the engine's."""
        return {name: value for name, value in self.settings.items() if name not in _HTTP_SETTINGS}

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
        header = self.headers.get("x-clickhouse-format")
        name = self.arguments.get("default_format") or header or "TabSeparated"
        if _FORMAT_NAME.fullmatch(name) is None:
            raise refused(ErrorCode.UNKNOWN_FORMAT, f"Unknown format {name!r}.")
        return name

    @property
    def max_query_bytes(self) -> int:
        """How long the statement may be, without an insert's data.

        Raises:
            QueryError: the setting max_query_size is not a number.
        """
        text = self.settings.get("max_query_size", str(DEFAULT_MAX_QUERY_BYTES))
        if not text.isascii() or not text.isdigit():
            raise refused(ErrorCode.BAD_ARGUMENTS, f"max_query_size must be a number of bytes, not {text!r}.")
        return min(int(text), LARGEST_MAX_QUERY_BYTES) or LARGEST_MAX_QUERY_BYTES

    @property
    def is_reading(self) -> bool:
        """Whether the method allows nothing but reading."""
        return self.method in ("GET", "HEAD")

    @property
    def waits_for_end(self) -> bool:
        """Whether the answer may only start when the query has ended."""
        return _is_true(self.arguments.get("wait_end_of_query")) or _is_true(
            self.settings.get("http_wait_end_of_query")
        )

    @property
    def allows_compression(self) -> bool:
        """Whether the answer may be compressed."""
        return _is_true(self.settings.get("enable_http_compression"))

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The name and password; None when there are none.

        Raises:
            QueryError: they were given in two ways, or Authorization is not a well-formed Basic one.
        """
        found = []
        if "x-clickhouse-user" in self.headers or "x-clickhouse-key" in self.headers:
            found.append(
                (self.headers.get("x-clickhouse-user", ""), self.headers.get("x-clickhouse-key", ""))
            )
        if "authorization" in self.headers:
            found.append(_basic(self.headers["authorization"]))
        if "user" in self.arguments or "password" in self.arguments:
            found.append((self.arguments.get("user", ""), self.arguments.get("password", "")))
        if len(found) > 1:
            raise refused(
                ErrorCode.AUTHENTICATION_FAILED,
                "Invalid authentication: give the user and password in one way only (Authorization, "
                "X-ClickHouse-User and -Key, or the URL).",
            )
        return found[0] if found else None

    def check_supported(self, account: Account) -> None:
        """Refuse what this server does not do.

        Raises:
            QueryError: the request asks for it.
        """
        if _is_true(self.arguments.get("compress")) or _is_true(self.arguments.get("decompress")):
            raise refused(
                ErrorCode.NOT_IMPLEMENTED,
                "compress and decompress (ClickHouse's own block compression) are not supported; "
                "use Content-Encoding, or enable_http_compression with Accept-Encoding.",
            )
        if self.arguments.get("role", account.role) != account.role:
            raise refused(
                ErrorCode.NOT_IMPLEMENTED, f"{account.name} works under the role {account.role} only."
            )


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("1", "true")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise refused(
            ErrorCode.AUTHENTICATION_FAILED,
            "Invalid authentication: Authorization must be Basic, with base64 of user:password.",
        )
    return user, password
