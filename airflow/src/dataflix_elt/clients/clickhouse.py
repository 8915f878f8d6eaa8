"""A connection to ClickHouse as `elt_writer`; its errors never show a value of a row."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from dataflix_elt.errors import WarehouseError, WarehouseUnavailableError
from dataflix_elt.settings import WarehouseSettings

_CONNECT_TIMEOUT_S = 10
# For one answer: the checksum of a billion rows takes minutes, and an insert is answered only at its end.
_ANSWER_TIMEOUT_S = 3600

# Read CSV exactly as Postgres writes it; several of ClickHouse's defaults would change values silently.
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
    # The fast parser of floats may be off by one in the last digit.
    "precise_float_parsing": 1,
    # Merges collapse rows by key. To do it in each block as well takes as long as the rest of an insert, and
    # the load looks for repeated keys once all rows are there.
    "optimize_on_insert": 0,
    # A second insert of the same rows is a new load, not a duplicate to drop.
    "insert_deduplicate": 0,
    "async_insert": 0,
}

# Errors whose text names tables, users and limits, never a row; and errors that may pass on their own.
_SAFE_CODES = {36, 57, 60, 62, 81, 159, 160, 164, 192, 193, 194, 202, 209, 210, 241, 242, 243, 394, 497, 516}
_TRANSIENT_CODES = {159, 160, 202, 209, 210, 241, 242, 243, 319, 394, 425, 999}


class Session:
    """Statements on one connection."""

    def __init__(self, client: Client, settings: WarehouseSettings) -> None:
        self._client = client
        self.database = settings.database
        self.address = f"{settings.host}:{settings.port}"

    def path(self, name: str) -> str:
        """Return a table's name with its database."""
        return f"{self.database}.{name}"

    def query(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._errors():
            answer = self._client.query(query, parameters=parameters or None)
            return [tuple(row) for row in answer.result_rows]

    def command(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        with self._errors():
            self._client.command(statement)

    def insert(self, table: str, columns: tuple[str, ...], chunks: Iterable[bytes]) -> None:
        """Send chunks of CSV as they come."""
        with self._errors():
            self._client.raw_insert(
                self.path(table),
                column_names=columns,
                insert_block=(chunk for chunk in chunks),
                settings=dict(_INSERT_SETTINGS),
                fmt="CSV",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ClickHouseError as error:
            # Without its cause: the text of the original may contain values of a row.
            raise _translated(error, self.address) from None


@contextmanager
def session(settings: WarehouseSettings) -> Iterator[Session]:
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
        yield Session(client, settings)
    finally:
        client.close()


def literal(value: object) -> str:
    """Return a text, a number or a time as SQL."""
    if isinstance(value, datetime):
        return f"toDateTime64('{value.strftime('%Y-%m-%d %H:%M:%S.%f')}', 6, 'UTC')"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _translated(error: ClickHouseError, address: str) -> WarehouseError | WarehouseUnavailableError:
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    if code is None:
        # No answer, or one that is not from ClickHouse: from a gateway, or a dying server.
        return WarehouseUnavailableError(
            f"ClickHouse at {address} cannot be reached, or the connection broke."
        )
    message = f"ClickHouse at {address} failed with {name or 'an error'} (code {code})"
    if code in _SAFE_CODES:
        found = re.search(r"DB::Exception: (.*)", str(error))
        message += f": {found[1]}" if found else ""
    if code in _TRANSIENT_CODES:
        return WarehouseUnavailableError(message)
    return WarehouseError(message)
