"""The one engine of the process, and handles to it.

A handle is a chDB connection: it has a role, settings and a current database of its own. Handles of one engine
work side by side; on one handle, one statement runs at a time.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb

from dataflix_clickhouse.errors import QueryError


@dataclass(frozen=True)
class Outcome:
    """What a statement did: the engine's own counts, and its result when that was not sent elsewhere."""

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    result_rows: int
    result_bytes: int
    elapsed_ns: int


def quote(text: str) -> str:
    """Return `text` as an SQL string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Handle:
    """One chDB connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one statement to its end.

        Raises:
            QueryError: the engine's error.
        """
        try:
            result = self._connection.query(sql, output_format, params=dict(params or {}))
        except Exception as error:
            raise QueryError.from_engine(error) from error
        if result.has_error():
            raise QueryError.from_engine(RuntimeError(result.error_message()))
        data = result.bytes() if result.size() else b""
        return Outcome(
            data=data,
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def close(self) -> None:
        """Give the connection back; the engine ends with its last one."""
        self._connection.close()


class Engine:
    """chDB on one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._address = str(data_dir)
        self._lock = threading.Lock()
        self._keeper = self._connect()

    def _connect(self) -> Handle:
        return Handle(chdb.connect(self._address))

    def handle(self) -> Handle:
        """Open a new handle; the caller closes it."""
        return self._connect()

    def admin(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a short statement of the server's own, on the handle that keeps the engine alive."""
        with self._lock:
            return self._keeper.run(sql, output_format, params)

    def close(self) -> None:
        """End the engine; everything inserted is on disk afterwards."""
        self._keeper.close()
