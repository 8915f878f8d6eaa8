"""The warehouse: ClickHouse's database `raw`, written as `elt_writer`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from dataflix_elt.errors import (
    SchemaDriftError,
    SupersededError,
    WarehouseError,
    WarehouseUnavailableError,
)
from dataflix_elt.reconciliation import Profile, warehouse_checksum
from dataflix_elt.settings import WarehouseSettings
from dataflix_elt.staging import SideTable
from dataflix_elt.tables import Table

_CONNECT_TIMEOUT_S = 10
# For one answer: the checksum of a billion rows takes minutes, and an insert is answered only when all is in.
_ANSWER_TIMEOUT_S = 3600

# Read CSV exactly as Postgres writes it; several of ClickHouse's defaults would change values in silence.
_INSERT_SETTINGS: Mapping[str, Any] = {
    "format_csv_delimiter": ",",
    "format_csv_allow_single_quotes": 0,
    "format_csv_null_representation": r"\N",
    "input_format_csv_trim_whitespaces": 0,
    "input_format_csv_empty_as_default": 0,
    "input_format_csv_detect_header": 0,
    "input_format_null_as_default": 0,
    "input_format_allow_errors_num": 0,
    "date_time_input_format": "basic",
    # The quick parser of floats may be off by one in the last place.
    "precise_float_parsing": 1,
    # A repeated insert of the same rows is a new load, not a duplicate to be dropped.
    "insert_deduplicate": 0,
    "async_insert": 0,
}

# Errors whose text names tables, users and limits, never a row, and those that may pass by themselves.
_SAFE_CODES = {36, 57, 60, 62, 81, 159, 160, 164, 192, 193, 194, 202, 209, 210, 241, 242, 243, 394, 497, 516}
_TRANSIENT_CODES = {159, 160, 202, 209, 210, 241, 242, 243, 319, 394, 425, 999}

_META_COLUMNS = {
    "_version": "UInt64",
    "_is_deleted": "UInt8",
    "_extracted_at": "DateTime64(6, 'UTC')",
    "_run_id": "LowCardinality(String)",
}

# Rows of a full load are not deleted, which is 0, which is the default of the type.
_STAMPED_COLUMNS = ("_version", "_extracted_at", "_run_id")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of a load carries besides the source's columns."""

    version: int
    extracted_at: datetime
    run_id: str


class Warehouse:
    """Database `raw`. Use `warehouse` to open it."""

    def __init__(self, client: Client, settings: WarehouseSettings) -> None:
        self._client = client
        self._database = settings.database
        self._address = f"{settings.host}:{settings.port}"

    def require_columns(self, table: Table) -> None:
        """Check that the raw table has exactly the columns the specification names.

        Raises:
            SchemaDriftError: it is missing, or its columns differ.
        """
        rows = self._query(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String}",
            {"database": self._database, "table": table.name},
        )
        expected = {column.name: column.warehouse_type for column in table.columns} | _META_COLUMNS
        found: dict[str, str] = dict(rows)
        problems = [
            f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such column')}"
            for name in (*expected, *(set(found) - set(expected)))
            if found.get(name) != expected.get(name)
        ]
        if problems:
            raise SchemaDriftError(
                f"{self._database}.{table.name} in ClickHouse at {self._address}: {'; '.join(problems)}. "
                "clickhouse/init creates it as the specification says. Nothing was loaded."
            )

    def version(self, table: Table) -> int:
        """Return the newest version in the raw table; 0 when it is empty."""
        query = f"SELECT max(_version) FROM {self._path(table.name)}"  # noqa: S608
        return int(self._query(query)[0][0])

    def create_staging(self, table: Table, staging: SideTable, stamp: Stamp) -> None:
        """Create an empty twin of the raw table whose rows get the stamp by default.

        The stamp then travels once, and not with every row.
        """
        self._command(f"CREATE TABLE {self._path(staging.name)} AS {self._path(table.name)}")
        extracted_at = stamp.extracted_at.strftime("%Y-%m-%d %H:%M:%S.%f")
        self._command(
            f"ALTER TABLE {self._path(staging.name)}"
            f" MODIFY COLUMN _version DEFAULT {stamp.version},"
            f" MODIFY COLUMN _extracted_at DEFAULT toDateTime64('{extracted_at}', 6, 'UTC'),"
            f" MODIFY COLUMN _run_id DEFAULT {_literal(stamp.run_id)}"
        )

    def insert(self, table: Table, staging: SideTable, chunks: Iterable[bytes]) -> None:
        """Send CSV as it comes."""
        with self._errors():
            self._client.raw_insert(
                self._path(staging.name),
                column_names=table.column_names,
                insert_block=(chunk for chunk in chunks),
                settings=dict(_INSERT_SETTINGS),
                fmt="CSV",
            )

    def profile(self, table: Table, staging: SideTable) -> Profile:
        """Count and hash what a staging table holds."""
        path, key = self._path(staging.name), ", ".join(table.key)
        query = f"SELECT count(), {warehouse_checksum(table)} FROM {path}"  # noqa: S608
        ((rows, checksum),) = self._query(query)
        # In the order of the sort key, grouping needs memory for one key at a time.
        query = f"SELECT count() FROM (SELECT {key} FROM {path} GROUP BY {key})"  # noqa: S608
        ((keys,),) = self._query(query + " SETTINGS optimize_aggregation_in_order = 1")
        return Profile(rows=int(rows), distinct_keys=int(keys), checksum=int(checksum))

    def swap_in(self, table: Table, staging: SideTable, stamp: Stamp) -> None:
        """Exchange the raw table with the staging table in one step; the old rows are then in the latter.

        Raises:
            SupersededError: somebody else's load was swapped in since this one's version was chosen.
        """
        self._command(
            f"ALTER TABLE {self._path(staging.name)}"
            + ",".join(f" MODIFY COLUMN {name} REMOVE DEFAULT" for name in _STAMPED_COLUMNS)
        )
        if self.version(table) >= stamp.version:
            raise SupersededError(
                f"Another load of {self._database}.{table.name} finished while this one ran; its rows stay."
            )
        self._command(f"EXCHANGE TABLES {self._path(staging.name)} AND {self._path(table.name)}")

    def retire(self, staging: SideTable, retired: SideTable) -> None:
        """Put the old rows aside, to be dropped when nobody can be reading them any more."""
        self._command(f"RENAME TABLE {self._path(staging.name)} TO {self._path(retired.name)}")

    def drop(self, side_table: SideTable) -> None:
        """Drop a table beside a raw one, unless it is gone already."""
        self._command(f"DROP TABLE IF EXISTS {self._path(side_table.name)} SYNC")

    def drop_leftovers(self, table: Table, now: datetime) -> list[str]:
        """Drop what earlier loads of the table left and nobody can use any more; returns the names."""
        rows = self._query(
            "SELECT name FROM system.tables"
            " WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            {"database": self._database, "prefix": table.name + "__"},
        )
        side_tables = [SideTable.parse(name) for (name,) in rows]
        leftovers = [
            side for side in side_tables if side and side.table == table.name and side.is_leftover(now)
        ]
        for leftover in leftovers:
            self.drop(leftover)
        return [leftover.name for leftover in leftovers]

    def record(
        self, table: Table, stamp: Stamp, *, source: Profile, loaded: Profile, started_at: datetime
    ) -> None:
        """Add a row to `load_audit`; it is finished now, by ClickHouse's clock."""
        self._command(
            f"INSERT INTO {self._path('load_audit')} (run_id, table_name, rows, distinct_keys, checksum,"
            " source_rows, source_distinct_keys, source_checksum, matches, started_at, finished_at)"
            f" SELECT {_literal(stamp.run_id)}, {_literal(table.name)},"
            f" {loaded.rows}, {loaded.distinct_keys}, '{loaded.checksum}',"
            f" {source.rows}, {source.distinct_keys}, '{source.checksum}', {str(source == loaded).lower()},"
            f" toDateTime64('{started_at.strftime('%Y-%m-%d %H:%M:%S.%f')}', 6, 'UTC'), now64(6, 'UTC')"
        )

    def _path(self, name: str) -> str:
        return f"{self._database}.{name}"

    def _query(self, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._errors():
            return [tuple(row) for row in self._client.query(query, parameters=parameters).result_rows]

    def _command(self, statement: str) -> None:
        with self._errors():
            self._client.command(statement)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ClickHouseError as error:
            # Without its cause: the original's text may print values of a row.
            raise _translated(error, self._address) from None


@contextmanager
def warehouse(settings: WarehouseSettings) -> Iterator[Warehouse]:
    """Connect to ClickHouse.

    Raises:
        WarehouseUnavailableError: it cannot be reached.
        WarehouseError: it refused the user.
    """
    try:
        client = clickhouse_connect.get_client(
            host=settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=_ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,
        )
    except ClickHouseError as error:
        raise _translated(error, f"{settings.host}:{settings.port}") from None
    try:
        yield Warehouse(client, settings)
    finally:
        client.close()


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _translated(error: ClickHouseError, address: str) -> WarehouseError | WarehouseUnavailableError:
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    if code is None:
        # No answer at all, or one that is not ClickHouse's: a gateway's, a dying server's.
        return WarehouseUnavailableError(f"ClickHouse at {address} is away, or the connection broke.")
    message = f"ClickHouse at {address} failed with {name or 'an error'} (code {code})"
    if code in _SAFE_CODES:
        found = re.search(r"DB::Exception: (.*)", str(error))
        message += f": {found[1]}" if found else ""
    if code in _TRANSIENT_CODES:
        return WarehouseUnavailableError(message)
    return WarehouseError(message)
