"""Dates before 1970 and after 2106 are grouped and filtered right, by queries that go through Superset."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from .conftest import Superset

# The first test waits for the set-up of warehouse and Superset: minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)

Ask = Callable[..., list[Any]]

TIMES = [
    datetime(1900, 2, 1, 0, 0, tzinfo=UTC),
    datetime(1950, 5, 5, 13, 47, 15, 500_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 34, 56, 789_000, tzinfo=UTC),
    datetime(2100, 8, 8, 13, 14, 15, 500_000, tzinfo=UTC),
    datetime(2250, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


def minutes(number: int) -> Callable[[datetime], datetime]:
    return lambda at: at.replace(minute=at.minute // number * number, second=0, microsecond=0)


def day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


STARTS: dict[str, Callable[[datetime], datetime]] = {
    "PT1M": minutes(1),
    "PT5M": minutes(5),
    "PT10M": minutes(10),
    "PT15M": minutes(15),
    "PT30M": minutes(30),
    "PT1H": minutes(60),
    "P1D": day,
    "P1W": lambda at: day(at) - timedelta(days=at.weekday()),
    "P1M": lambda at: day(at).replace(day=1),
    "P3M": lambda at: day(at).replace(month=(at.month - 1) // 3 * 3 + 1, day=1),
    "P1Y": lambda at: day(at).replace(month=1, day=1),
}


@pytest.fixture(scope="module")
def dataset(superset: Superset, admin: requests.Session) -> Iterator[int]:
    """A data set of the times above, and of their days."""
    database = admin.get(superset.url + "/api/v1/database/", timeout=30).json()["result"][0]["id"]
    times = ", ".join(f"'{at:%Y-%m-%d %H:%M:%S.%f}'" for at in TIMES)
    sql = (
        "SELECT toDateTime64(arrayJoin(["
        + times
        + "]), 6, 'UTC') AS happened_at, toDate32(happened_at) AS happened_on"
    )
    body = {"database": database, "schema": "analytics", "table_name": "wide_dates", "sql": sql}
    made = admin.post(superset.url + "/api/v1/dataset/", json=body, timeout=60)
    assert made.ok, made.text
    yield made.json()["id"]
    admin.delete(f"{superset.url}/api/v1/dataset/{made.json()['id']}", timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def ask(superset: Superset, admin: requests.Session, dataset: int) -> Ask:
    """Return a function that counts times as a chart does."""

    def ask(**query: Any) -> list[Any]:
        count = {"expressionType": "SQL", "sqlExpression": "count()", "label": "n"}
        body = {
            "datasource": {"id": dataset, "type": "table"},
            "queries": [{"metrics": [count], "row_limit": 100, **query}],
        }
        answer = admin.post(superset.url + "/api/v1/chart/data", json=body, timeout=60)
        assert answer.ok, answer.text
        rows: list[Any] = answer.json()["result"][0]["data"]
        return rows

    return ask


@pytest.mark.parametrize("grain", STARTS)
@pytest.mark.parametrize("column", ["happened_at", "happened_on"])
def test_every_grain_keeps_the_year(ask: Ask, column: str, grain: str) -> None:
    axis = {
        **{"timeGrain": grain, "columnType": "BASE_AXIS", "expressionType": "SQL"},
        **{"sqlExpression": column, "label": column, "isColumnReference": True},
    }
    rows = ask(columns=[axis])
    # In milliseconds since 1970.
    shown = sorted(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row[column]) for row in rows)
    times = TIMES if column == "happened_at" else [day(at) for at in TIMES]
    assert shown == sorted({STARTS[grain](at) for at in times})


@pytest.mark.parametrize("column", ["happened_at", "happened_on"])
@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("1950-01-01 : 1951-01-01", 1),
        ("1969-12-31 : 1970-01-01", 1),
        (" : 1970-01-01", 3),
        ("2100-01-01 : ", 2),
        ("2200-01-01 : 2251-01-01", 1),
    ],
)
def test_a_filter_of_time_keeps_the_year(ask: Ask, column: str, period: str, expected: int) -> None:
    wanted = {"col": column, "op": "TEMPORAL_RANGE", "val": period}
    assert ask(columns=[], filters=[wanted]) == [{"n": expected}]
