"""Errors with ClickHouse's own codes, texts and HTTP statuses."""

import re
from enum import IntEnum
from http import HTTPStatus


class SettingsError(Exception):
    """A setting is missing or cannot be used."""


class DataDirError(Exception):
    """The data folder cannot be used."""


class ErrorCode(IntEnum):
    """The engine's error codes that the server itself raises or turns into a status of their own."""

    BAD_ARGUMENTS = 36
    CANNOT_PARSE_TEXT = 6
    CANNOT_READ_ALL_DATA = 33
    NOT_IMPLEMENTED = 48
    UNKNOWN_TABLE = 60
    SYNTAX_ERROR = 62
    UNKNOWN_FORMAT = 73
    UNKNOWN_DATABASE = 81
    UNKNOWN_SETTING = 115
    TIMEOUT_EXCEEDED = 159
    READONLY = 164
    UNKNOWN_USER = 192
    REQUIRED_PASSWORD = 194
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    SOCKET_TIMEOUT = 209
    MEMORY_LIMIT_EXCEEDED = 241
    UNKNOWN_TYPE_OF_QUERY = 78
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    QUERY_WAS_CANCELLED = 394
    ACCESS_DENIED = 497
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


_STATUS = {
    ErrorCode.REQUIRED_PASSWORD: HTTPStatus.UNAUTHORIZED,
    ErrorCode.UNKNOWN_USER: HTTPStatus.FORBIDDEN,
    ErrorCode.AUTHENTICATION_FAILED: HTTPStatus.FORBIDDEN,
    ErrorCode.ACCESS_DENIED: HTTPStatus.FORBIDDEN,
    ErrorCode.READONLY: HTTPStatus.FORBIDDEN,
    ErrorCode.BAD_ARGUMENTS: HTTPStatus.BAD_REQUEST,
    ErrorCode.CANNOT_PARSE_TEXT: HTTPStatus.BAD_REQUEST,
    ErrorCode.CANNOT_READ_ALL_DATA: HTTPStatus.BAD_REQUEST,
    ErrorCode.SYNTAX_ERROR: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNKNOWN_TABLE: HTTPStatus.NOT_FOUND,
    ErrorCode.UNKNOWN_DATABASE: HTTPStatus.NOT_FOUND,
    ErrorCode.UNKNOWN_SETTING: HTTPStatus.NOT_FOUND,
    ErrorCode.UNKNOWN_FORMAT: HTTPStatus.NOT_FOUND,
    ErrorCode.SESSION_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.UNKNOWN_TYPE_OF_QUERY: HTTPStatus.NOT_FOUND,
    ErrorCode.NOT_IMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    ErrorCode.SOCKET_TIMEOUT: HTTPStatus.SERVICE_UNAVAILABLE,
}

_ENGINE_ERROR = re.compile(r"Code: (\d+)\. ")


class QueryError(Exception):
    """A request that ends in an error, whether the server refused it or the engine did."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message

    @classmethod
    def from_engine(cls, error: Exception) -> "QueryError":
        """Return what the engine's exception says, with its code (1002 when it gives none)."""
        text = str(error).strip()
        found = _ENGINE_ERROR.search(text)
        if found is None:
            return cls(ErrorCode.UNKNOWN_EXCEPTION, text)
        message = text[found.end() :].removeprefix("DB::Exception: ")
        return cls(int(found[1]), message)

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status a ClickHouse server would answer with."""
        try:
            return _STATUS.get(ErrorCode(self.code), HTTPStatus.INTERNAL_SERVER_ERROR)
        except ValueError:
            return HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def text(self) -> str:
        """The body of the answer: `Code: N. DB::Exception: ...`."""
        return f"Code: {self.code}. DB::Exception: {self.message}\n"
