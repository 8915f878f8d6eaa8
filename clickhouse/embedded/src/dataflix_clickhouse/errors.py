"""Exceptions, with ClickHouse's error codes and message format."""

import re
from http import HTTPStatus

from dataflix_clickhouse.error_codes import ErrorCode, http_status


class StartupError(Exception):
    """The server cannot start: a setting, an SQL file or the data folder cannot be used."""


class ClientGoneError(Exception):
    """The client closed its connection before the answer was complete."""


_ENGINE_ERROR = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")


class QueryError(Exception):
    """A query failed: the engine returned an error, or this server refused the query.

    Attributes:
        code: ClickHouse's numeric error code.
        message: the text after `DB::Exception: `.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message

    @classmethod
    def from_engine(cls, text: str) -> "QueryError":
        """Parse the engine's error text; without a code in it, the code is UNKNOWN_EXCEPTION (1002)."""
        found = _ENGINE_ERROR.search(text)
        if found is None:
            return cls(ErrorCode.UNKNOWN_EXCEPTION, text.strip())
        return cls(int(found[1]), text[found.end() :].strip())

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that a ClickHouse server sends for this code."""
        return http_status(self.code)

    @property
    def text(self) -> str:
        """The response body: `Code: N. DB::Exception: ...`."""
        return f"Code: {self.code}. DB::Exception: {self.message}\n"


def query_error(code: ErrorCode, message: str) -> QueryError:
    """Return an error raised by this server; like the engine's errors, it ends with the name of the code."""
    return QueryError(code, f"{message} ({code.name})")
