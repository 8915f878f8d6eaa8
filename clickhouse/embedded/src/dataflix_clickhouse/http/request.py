"""Parses the parameters and headers of a request."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.access.statement_policy import PROFILE_SETTING
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import query_error
from dataflix_clickhouse.queries.sessions import SessionRequest
from dataflix_common.argument_types import number_in, shown

# Parameters of the HTTP interface; all others are settings of the engine.
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
# Settings for the HTTP side of a server; the engine does not use them.
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
# ClickHouse's max_query_size: the length of a statement, without insert data.
DEFAULT_MAX_QUERY_BYTES = 262_144
MAX_QUERY_BYTES_LIMIT = 1 << 20
# The engine's settings of this kind are UInt64.
_MAX_SETTING = 2**64 - 1


@dataclass(frozen=True)
class Request:
    """One query request.

    Attributes:
        arguments: parameters of the HTTP interface, such as query and session_id.
        settings: settings of the engine or of the HTTP side.
        params: query parameters (`param_name` in the URL), without the prefix.
    """

    method: str
    headers: dict[str, str]
    arguments: dict[str, str]
    settings: dict[str, str]
    params: dict[str, str]
    query_id: str

    @classmethod
    def from_scope(
        cls, scope: dict[str, Any], form: Iterable[tuple[str, str]] = (), query_id: str = ""
    ) -> Self:
        """Parse an ASGI scope, and the fields of a form if there is one.

        Args:
            scope: the ASGI scope.
            form: the (name, value) fields of the form.
            query_id: used when the request has none; without both, the id is a new UUID.

        Raises:
            QueryError: a parameter has a name that cannot be a setting.
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
                raise query_error(ErrorCode.UNKNOWN_SETTING, f"Unknown setting {name!r}.")
            else:
                settings[name] = value
        query_id = arguments.get("query_id") or query_id or str(uuid.uuid4())
        return cls(scope["method"], headers, arguments, settings, params, query_id)

    @property
    def engine_settings(self) -> dict[str, str]:
        """The settings that go to the engine."""
        return {name: value for name, value in self.settings.items() if name not in _HTTP_SETTINGS}

    @property
    def session(self) -> SessionRequest:
        """The session of the request."""
        return SessionRequest(
            session_id=self.arguments.get("session_id", ""),
            timeout=self.arguments.get("session_timeout"),
            must_exist=self.arguments.get("session_check") == "1",
        )

    @property
    def database(self) -> str | None:
        """The database of the request, if it names one."""
        return self.arguments.get("database") or self.headers.get("x-clickhouse-database")

    @property
    def default_format(self) -> str:
        """The format of the result when the statement names none.

        Raises:
            QueryError: it cannot be the name of a format.
        """
        header = self.headers.get("x-clickhouse-format")
        name = self.arguments.get("default_format") or header or "TabSeparated"
        if _FORMAT_NAME.fullmatch(name) is None:
            raise query_error(ErrorCode.UNKNOWN_FORMAT, f"Unknown format {name!r}.")
        return name

    @property
    def max_query_bytes(self) -> int:
        """The maximum length of the statement, without insert data.

        Raises:
            QueryError: the setting max_query_size is not a number.
        """
        text = self.settings.get("max_query_size", str(DEFAULT_MAX_QUERY_BYTES))
        number = number_in(text, 0, _MAX_SETTING)
        if number is None:
            raise query_error(
                ErrorCode.BAD_ARGUMENTS, f"max_query_size must be a number of bytes, not {shown(text)}."
            )
        return min(number, MAX_QUERY_BYTES_LIMIT) or MAX_QUERY_BYTES_LIMIT

    @property
    def is_readonly_method(self) -> bool:
        """Whether the HTTP method allows only queries that read."""
        return self.method in ("GET", "HEAD")

    @property
    def waits_for_end(self) -> bool:
        """Whether the response may only start after the end of the query."""
        return _is_true(self.arguments.get("wait_end_of_query")) or _is_true(
            self.settings.get("http_wait_end_of_query")
        )

    @property
    def allows_compression(self) -> bool:
        """Whether the response may be compressed."""
        return _is_true(self.settings.get("enable_http_compression"))

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The name and password, or None.

        Raises:
            QueryError: the request gives them in two ways, or its Authorization is not valid Basic.
        """
        credentials = []
        if "x-clickhouse-user" in self.headers or "x-clickhouse-key" in self.headers:
            credentials.append(
                (self.headers.get("x-clickhouse-user", ""), self.headers.get("x-clickhouse-key", ""))
            )
        if "authorization" in self.headers:
            credentials.append(_basic(self.headers["authorization"]))
        if "user" in self.arguments or "password" in self.arguments:
            credentials.append((self.arguments.get("user", ""), self.arguments.get("password", "")))
        if len(credentials) > 1:
            raise query_error(
                ErrorCode.AUTHENTICATION_FAILED,
                "Invalid authentication: give the user and password in one way only (Authorization, "
                "X-ClickHouse-User and -Key, or the URL).",
            )
        return credentials[0] if credentials else None

    def check_supported(self, account: Account) -> None:
        """Refuse features that this server does not have.

        Raises:
            QueryError: the request needs such a feature.
        """
        if _is_true(self.arguments.get("compress")) or _is_true(self.arguments.get("decompress")):
            raise query_error(
                ErrorCode.NOT_IMPLEMENTED,
                "compress and decompress (ClickHouse's own block compression) are not supported; "
                "use Content-Encoding, or enable_http_compression with Accept-Encoding.",
            )
        if PROFILE_SETTING in self.settings:
            raise query_error(
                ErrorCode.ACCESS_DENIED, f"{account.name}: Not enough privileges to change the profile."
            )
        if self.arguments.get("role", account.role) != account.role:
            raise query_error(
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
        raise query_error(
            ErrorCode.AUTHENTICATION_FAILED,
            "Invalid authentication: Authorization must be Basic, with base64 of user:password.",
        )
    return user, password
