"""A ClickHouse with the small warehouse, loaded and built once for all tests of the dbt project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_testkit import clickhouse

from .support import small
from .support.warehouse import DBT, Built, Warehouse


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Target folder of all dbt commands, shared so that the project is parsed once."""
    assert DBT.exists(), f"{DBT} is missing: the environment of Airflow and dbt has not been made"
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture
def empty(work: Path) -> Iterator[Warehouse]:
    """A warehouse of its own: no rows, no models."""
    with clickhouse() as server:
        yield Warehouse(server, work)


@pytest.fixture(scope="session")
def built(work: Path) -> Iterator[Built]:
    """The small warehouse after `dbt build`."""
    with clickhouse() as server:
        warehouse = Warehouse(server, work)
        source = small.load(warehouse)
        yield Built(warehouse, source, warehouse.dbt("build"))
