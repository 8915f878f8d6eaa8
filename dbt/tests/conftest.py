"""A ClickHouse with the small warehouse, loaded and built once for all tests of the dbt project."""

from collections.abc import Iterator

import pytest

from dataflix_testkit import clickhouse

from .support import small
from .support.manifest import Manifest
from .support.warehouse import DBT, Built, Dbt, Warehouse, dbt_process


@pytest.fixture(scope="session")
def dbt() -> Iterator[Dbt]:
    """Provide one dbt process for all tests."""
    assert DBT.exists(), f"{DBT} is missing: scripts/environments.sh airflow-dev makes it"
    with dbt_process() as process:
        yield process


@pytest.fixture(scope="session")
def small_warehouse(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with clickhouse() as server:
        yield Warehouse(server, dbt, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def manifest(small_warehouse: Warehouse) -> Manifest:
    """Parse the project; the build then needs no second parse."""
    # Only a full parse reports deprecations.
    parsed = small_warehouse.dbt("parse", "--show-all-deprecations", "--no-partial-parse")
    assert parsed.exit_code == 0, parsed.output
    assert "eprecat" not in parsed.output, parsed.output
    return small_warehouse.manifest()


@pytest.fixture(scope="session")
def built(small_warehouse: Warehouse, manifest: Manifest) -> Built:
    """Load and build the small warehouse."""
    source = small.load(small_warehouse)
    return Built(small_warehouse, source, small_warehouse.dbt("build"))


@pytest.fixture(scope="session")
def empty_warehouse(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with clickhouse() as server:
        yield Warehouse(server, dbt, tmp_path_factory.mktemp("empty"))


@pytest.fixture
def empty(empty_warehouse: Warehouse) -> Iterator[Warehouse]:
    """A warehouse without rows and models."""
    before = empty_warehouse.relations()
    yield empty_warehouse
    for name in empty_warehouse.relations() - before:
        empty_warehouse.command(f"DROP TABLE {name}")
    empty_warehouse.command("TRUNCATE TABLE analytics.dbt_test_results")
