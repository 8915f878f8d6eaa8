"""The one engine of the process, and handles to it.

A handle is a chDB connection: it has a role, settings and a current database of its own. Handles of one
engine work side by side; on one handle, one statement runs at a time.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import chdb

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import DataDirError, QueryError, refused

# What chDB takes for the beginning of options, or decodes, in a path.
_SPECIAL_IN_PATHS = frozenset("?&#%+")


@dataclass(frozen=True)
class Outcome:
    """What a statement did (so far): the engine's counts, and its result when that was not sent elsewhere."""

    data: bytes = b""
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    total_rows_to_read: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0


def quote(text: str) -> str:
    """Return `text` as an SQL string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quote_name(text: str) -> str:
    """Return `text` as an SQL identifier."""
    escaped = text.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


class Handle:
    """One chDB connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one statement to its end.

        `params` are the values of `{name:Type}` in the text, escaped as in TabSeparated.

        Raises:
            QueryError: the engine's error, or a parameter that is not UTF-8.
        """
        try:
            values = {
                name.encode().decode(): value.encode().decode() for name, value in (params or {}).items()
            }
        except UnicodeEncodeError as error:
            raise refused(ErrorCode.BAD_QUERY_PARAMETER, "A query parameter is not UTF-8.") from error
        try:
            result = self._connection.query(
                sql.encode(errors="surrogateescape"), output_format, params=values
            )
        except RuntimeError as error:
            raise QueryError.from_engine(str(error)) from error
        except UnicodeDecodeError as error:
            # The engine's error quotes a statement that is not UTF-8, and chDB takes its errors for UTF-8.
            raise QueryError.from_engine(error.object.decode(errors="replace")) from error
        if result.has_error():
            raise QueryError.from_engine(result.error_message())
        return Outcome(
            data=result.bytes() if result.size() else b"",
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def canonical(self, sql: str) -> str:
        """Return the one statement in `sql` as the engine formats it.

        Raises:
            QueryError: the engine cannot parse it, or it is more than one.
        """
        encoded = sql.encode(errors="surrogateescape").hex()
        asked = "SELECT formatQuerySingleLine(unhex({statement:String}))"
        formatted = self.run(asked, "TabSeparatedRaw", {"statement": encoded}).data
        return formatted.decode(errors="surrogateescape").removesuffix("\n")

    def close(self) -> None:
        """Give the connection back; the engine ends with its last one."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def scratch() -> Handle:
    """Open an engine without data, for formatting; close it before the real one is opened."""
    return Handle(chdb.connect(":memory:"))


class Engine:
    """chDB on one data folder, with access as the configuration file says."""

    def __init__(self, data_dir: Path, config: Path, admin_role: str) -> None:
        """Start the engine.

        Raises:
            DataDirError: the folder cannot be used.
        """
        if _SPECIAL_IN_PATHS & set(str(data_dir)):
            raise DataDirError(f"the data folder's path may not contain any of ? & # % +: {data_dir}")
        self._address = f"{data_dir}?config-file={config}"
        self._lock = threading.Lock()
        try:
            self._keeper = self.handle(admin_role)
        except RuntimeError as error:
            raise DataDirError(f"the engine cannot start on {data_dir}: {error}") from error

    def handle(self, role: str) -> Handle:
        """Open a new handle under a role; the caller closes it."""
        handle = Handle(chdb.connect(self._address))
        try:
            handle.run(f"SET ROLE {quote_name(role)}")
        except BaseException:
            handle.close()
            raise
        return handle

    def admin(self, sql: str) -> Outcome:
        """Run a short statement of the server's own, on the handle that keeps the engine alive."""
        with self._lock:
            return self._keeper.run(sql)

    def kill(self, tag: str, mode: str = "ASYNC") -> bytes:
        """End the statement whose text holds the tag; returns KILL QUERY's answer as TabSeparated."""
        return self.admin(f"KILL QUERY WHERE {_holds(tag)} {mode}").data

    def progress(self, tag: str) -> Outcome:
        """Return the counts, so far, of the statement whose text holds the tag."""
        asked = (
            "read_rows, read_bytes, written_rows, written_bytes, total_rows_approx, toUInt64(elapsed * 1e9)"
        )
        found = self.admin(f"SELECT {asked} FROM system.processes WHERE {_holds(tag)}").data  # noqa: S608  quoted
        if not found:
            return Outcome()
        read_rows, read_bytes, written_rows, written_bytes, total, elapsed = map(int, found.split())
        return Outcome(b"", read_rows, read_bytes, written_rows, written_bytes, total, elapsed_ns=elapsed)

    def close(self) -> None:
        """End the engine, once every other handle is closed; everything inserted is on disk afterwards."""
        self._keeper.close()


def _holds(tag: str) -> str:
    """Return the condition that finds a statement by the tag in its text, but not the statement that asks."""
    half = len(tag) // 2
    return f"position(query, concat({quote(tag[:half])}, {quote(tag[half:])})) > 0"
