"""The chDB engine of this process, and connections to it.

A connection has its own role, settings and current database. Connections of one engine work in parallel; one
connection runs one statement at a time.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, StartupError, query_error

# In a path, chDB treats these characters as the start of options, or decodes them.
_SPECIAL_IN_PATHS = frozenset("?&#%+")


@dataclass(frozen=True)
class QueryResult:
    """The engine's counts for a statement (final, or so far), and its result unless that went into a pipe."""

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


class Connection:
    """One chDB connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> QueryResult:
        """Run one statement to its end.

        Args:
            sql: the statement.
            output_format: the format of a result that is not sent to a file.
            params: the values of `{name:Type}` in the text, escaped as in TabSeparated.

        Raises:
            QueryError: the engine failed, or a parameter is not UTF-8.
        """
        try:
            values = {
                name.encode().decode(): value.encode().decode() for name, value in (params or {}).items()
            }
        except UnicodeEncodeError as error:
            raise query_error(ErrorCode.BAD_QUERY_PARAMETER, "A query parameter is not UTF-8.") from error
        try:
            result = self._connection.query(
                sql.encode(errors="surrogateescape"), output_format, params=values
            )
        except RuntimeError as error:
            raise QueryError.from_engine(str(error)) from error
        except UnicodeDecodeError as error:
            # chDB decodes errors as UTF-8, and this one quotes a statement that is not UTF-8.
            raise QueryError.from_engine(error.object.decode(errors="replace")) from error
        if result.has_error():
            raise QueryError.from_engine(result.error_message())
        return QueryResult(
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
        """Return one statement as the engine formats it.

        Raises:
            QueryError: the engine cannot parse it, or there is more than one.
        """
        encoded = sql.encode(errors="surrogateescape").hex()
        query = "SELECT formatQuerySingleLine(unhex({statement:String}))"
        formatted = self.run(query, "TabSeparatedRaw", {"statement": encoded}).data
        return formatted.decode(errors="surrogateescape").removesuffix("\n")

    def close(self) -> None:
        """Close the connection; the engine stops with its last connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(address: str) -> Connection:
    # Importing chdb takes a second, and starts threads: not before this process is confined.
    import chdb  # noqa: PLC0415

    return Connection(chdb.connect(address))


def open_in_memory() -> Connection:
    """Open an engine without data, to format SQL; close it before you open the real one."""
    return _open(":memory:")


class Engine:
    """chDB on one data folder, with the access rights of a configuration file."""

    def __init__(self, data_dir: Path, config: Path, admin_role: str) -> None:
        """Start the engine.

        Raises:
            StartupError: chDB cannot open the folder.
        """
        if _SPECIAL_IN_PATHS & set(str(data_dir)):
            raise StartupError(f"the path of the data folder must not contain ? & # % or +: {data_dir}")
        self._address = f"{data_dir}?config-file={config}"
        self._lock = threading.Lock()
        try:
            self._admin_connection = self.connect(admin_role)
            # Its own, because KILL QUERY and the like may keep the other one for seconds.
            self._health_connection = self.connect(admin_role)
        except RuntimeError as error:
            raise StartupError(f"the engine cannot open {data_dir}: {error}") from error

    def connect(self, role: str) -> Connection:
        """Open a connection with a role; the caller closes it."""
        connection = _open(self._address)
        try:
            connection.run(f"SET ROLE {quote_name(role)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def run_as_admin(self, sql: str) -> QueryResult:
        """Run a short statement of the server itself, on the connection that keeps the engine alive."""
        with self._lock:
            return self._admin_connection.run(sql)

    def check_health(self) -> None:
        """Run a statement; one call at a time.

        Raises:
            QueryError: the engine answers with an error.
        """
        self._health_connection.run("SELECT 1 SETTINGS max_threads = 1")

    def kill(self, tag: str, mode: str = "ASYNC") -> bytes:
        """Kill the statement whose text contains the tag; return the result of KILL QUERY as TabSeparated.

        The engine runs SHOW as a second statement, without the tag, on the same threads.
        """
        tagged = _contains_tag(tag)
        inner = f"is_internal AND thread_ids IN (SELECT thread_ids FROM system.processes WHERE {tagged})"  # noqa: S608  quoted
        return self.run_as_admin(f"KILL QUERY WHERE {tagged} OR ({inner}) {mode}").data

    def progress(self, tag: str) -> QueryResult:
        """Return the counts so far of the statement whose text contains the tag."""
        columns = (
            "read_rows, read_bytes, written_rows, written_bytes, total_rows_approx, toUInt64(elapsed * 1e9)"
        )
        row = self.run_as_admin(f"SELECT {columns} FROM system.processes WHERE {_contains_tag(tag)}").data  # noqa: S608  quoted
        if not row:
            return QueryResult()
        read_rows, read_bytes, written_rows, written_bytes, total, elapsed = map(int, row.split())
        return QueryResult(b"", read_rows, read_bytes, written_rows, written_bytes, total, elapsed_ns=elapsed)

    def memory_by_tag(self) -> dict[str, int]:
        """Return how many bytes of memory running statements use, by tag and by what looks like one."""
        tags = "arrayJoin(extractAll(query, '/\\*([a-z0-9-]{10,40})\\*/')) AS tag"
        sql = f"SELECT {tags}, max(memory_usage) FROM system.processes GROUP BY tag"  # noqa: S608  constant
        rows = self.run_as_admin(sql).data.decode().splitlines()
        return {tag: int(used) for tag, used in (row.split("\t") for row in rows)}

    def close(self) -> None:
        """Stop the engine after all other connections are closed; then all inserted data are on disk."""
        self._health_connection.close()
        self._admin_connection.close()


def _contains_tag(tag: str) -> str:
    """Return the condition that finds a statement by its tag, but not the statement with this condition."""
    half = len(tag) // 2
    return f"position(query, concat({quote(tag[:half])}, {quote(tag[half:])})) > 0"
