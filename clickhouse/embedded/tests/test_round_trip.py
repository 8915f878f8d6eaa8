"""Values come back unchanged through every format."""

import datetime as dt
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflix_testkit import ClickHouseServer

from .support.api import Api, pieces

COLUMNS = {
    "i": "Int64",
    "s": "String",
    "l": "Array(String)",
    "y": "Nullable(Int16)",
    "f": "Float32",
    "b": "Nullable(Bool)",
    "c": "LowCardinality(String)",
    "d": "DateTime64(6, 'UTC')",
}
TEXTS = st.text(max_size=30)
# DateTime64(6) covers 1900 to 2299.
TIMESTAMPS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2261, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        TEXTS,
        st.lists(TEXTS, max_size=3),
        st.none() | st.integers(-(2**15), 2**15 - 1),
        # JSON has no infinity; the engine writes null.
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.none() | st.booleans(),
        TEXTS,
        TIMESTAMPS,
    ).map(list),
    min_size=1,
    max_size=20,
)
SETTINGS = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def store(server: ClickHouseServer) -> Iterator[str]:
    """A table with a column for the order of rows and one of each type that the warehouse uses."""
    name = f"analytics.round_trip_{secrets.token_hex(4)}"
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
    Api(server).text(
        f"CREATE TABLE {name} (run String, k UInt32, {columns}) ENGINE = MergeTree ORDER BY (run, k)"
    )
    yield name
    Api(server).text(f"DROP TABLE {name}")


@SETTINGS
@given(rows=ROWS)
def test_clickhouse_connect(server: ClickHouseServer, store: str, rows: list[list[Any]]) -> None:
    client = server.client("dataflix_admin", tz_mode="aware")
    run = secrets.token_hex(8)
    client.insert(store, [[run, k, *row] for k, row in enumerate(rows)], column_names="*")
    found = client.query(
        f"SELECT * EXCEPT (run, k) FROM {store} WHERE run = {{r:String}} ORDER BY k", {"r": run}
    )
    assert [list(row) for row in found.result_rows] == rows


@SETTINGS
@given(
    rows=ROWS,
    name=st.sampled_from(
        [
            "Native",
            "RowBinary",
            "CSV",
            "TSV",
            "JSONEachRow",
            "JSONCompactEachRow",
            "Values",
            "ArrowStream",
            "Parquet",
        ]
    ),
    size=st.integers(1, 5000),
)
def test_formats(server: ClickHouseServer, store: str, rows: list[list[Any]], name: str, size: int) -> None:
    """An INSERT accepts the output of a SELECT in the same format, in pieces of any size."""
    api = Api(server)
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    lines = "\n".join(json.dumps([first, k, *map(plain, row)]) for k, row in enumerate(rows))
    api.text(
        lines, query=f"INSERT INTO {store} FORMAT JSONCompactEachRow", date_time_input_format="best_effort"
    )
    source = f"(SELECT * FROM {store} WHERE run = '{first}' ORDER BY k)"
    selected = api.post(f"SELECT * REPLACE ('{second}' AS run) FROM {source} FORMAT {name}").content
    taken = api.post(pieces(selected, size), query=f"INSERT INTO {store} FORMAT {name}")
    assert taken.status_code == 200, taken.text
    asked = "SELECT * EXCEPT run FROM {} WHERE run = '{}' ORDER BY k FORMAT RowBinary"
    found = api.post(asked.format(store, second)).content
    assert found == api.post(asked.format(store, first)).content
    assert len(found) > len(rows)


def plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, float) else value
