"""What can go wrong, with ClickHouse's own codes and texts."""

import re
from http import HTTPStatus

from dataflix_clickhouse.error_codes import ErrorCode, http_status


class SettingsError(Exception):
    """A setting, or a file it names, is missing or cannot be used."""


class DataDirError(Exception):
    """The data folder cannot be used."""


class ClientGoneError(Exception):
    """The client closed its connection before it was answered."""


_ENGINE_ERROR = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")


class QueryError(Exception):
    """A request that ends in an error, whether the server refused it or the engine did."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message

    @classmethod
    def from_engine(cls, text: str) -> "QueryError":
        """Return what the engine's error text says, with its code (1002 when it gives none)."""
        found = _ENGINE_ERROR.search(text)
        if found is None:
            return cls(ErrorCode.UNKNOWN_EXCEPTION, text.strip())
        return cls(int(found[1]), text[found.end() :].strip())

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status a ClickHouse server would answer with."""
        return http_status(self.code)

    @property
    def text(self) -> str:
        """The body of the answer: `Code: N. DB::Exception: ...`."""
        return f"Code: {self.code}. DB::Exception: {self.message}\n"


def refused(code: ErrorCode, message: str) -> QueryError:
    """Return an error of the server's own; the code's name stands behind the message as in the engine's."""
    return QueryError(code, f"{message} ({code.name})")
