"""One server that most tests share."""

import secrets
from collections.abc import Iterator

import pytest

from dataflix_testkit import ClickHouseServer, clickhouse

from .support.api import Api


@pytest.fixture(scope="session")
def server() -> Iterator[ClickHouseServer]:
    with clickhouse() as running:
        yield running


@pytest.fixture
def api(server: ClickHouseServer) -> Api:
    """Requests of the administrator."""
    return Api(server)


@pytest.fixture
def table(api: Api) -> Iterator[str]:
    """An empty table (n UInt64, s String) in analytics."""
    name = f"analytics.t_{secrets.token_hex(4)}"
    api.text(f"CREATE TABLE {name} (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    yield name
    api.text(f"DROP TABLE {name}")
