"""Publications at once, in any order and of two machines: the lists are those of the version that serves."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import Result

from dataflix_trainer.data import table_swap
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import BusyError
from dataflix_trainer.promotion import publication, recommendation_lists
from dataflix_trainer.promotion.rule import Verdict
from dataflix_trainer.registry import warehouse_copy
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.settings import ClickHouseSettings, MlflowSettings

Trainer = Callable[..., Result]
NAME = "published-at-once"


@pytest.fixture(scope="module")
def registry(trainer: Trainer, services: Any) -> Registry:
    """Two versions of one training."""
    trained = trainer("train", "--factors=2", "--iterations=1", DATAFLIX_MODEL_NAME=NAME)
    assert trained.exit_code == 0, trained.output
    registry = Registry(MlflowSettings.from_environ(services.environ | {"DATAFLIX_MODEL_NAME": NAME}))
    mlflow.register_model(str(mlflow.MlflowClient().get_model_version(NAME, "1").source), NAME)
    return registry


@pytest.fixture
def other_machine(registry: Registry, tmp_path: Path) -> Registry:
    """The same registry with the lock of another DATAFLIX_HOME."""
    return Registry(registry.settings.model_copy(update={"home": tmp_path}))


@pytest.fixture
def warehouse(services: Any) -> Iterator[Warehouse]:
    with Warehouse.connect(ClickHouseSettings.from_environ(services.environ)) as warehouse:
        yield warehouse


@pytest.fixture(autouse=True)
def _without_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "promote", lambda *_: Verdict(True, "as the test wants"))


def published(warehouse: Warehouse) -> list[str]:
    table = warehouse.batches("SELECT DISTINCT model_version FROM analytics.recommendations")
    return [str(value) for batch in table for value in batch.column(0)]


def test_the_lists_are_made_and_another_machine_publishes(
    registry: Registry, other_machine: Registry, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.force(registry, registry.version("1"))
    find = recommendation_lists.find_erased_users

    def publish_meanwhile(*words: Any) -> str | None:
        monkeypatch.setattr(recommendation_lists, "find_erased_users", find)
        publication.force(other_machine, registry.version("2"))
        publication.publish(warehouse, other_machine, registry.version("2"))
        return find(*words)

    monkeypatch.setattr(recommendation_lists, "find_erased_users", publish_meanwhile)
    assert publication.publish(warehouse, registry, registry.version("1"))["champion"] == "2"
    assert published(warehouse) == ["2"]


def test_another_machine_publishes_between_the_last_look_and_the_exchange(
    registry: Registry, other_machine: Registry, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback there: the champion's number goes down."""
    for number in "12":
        publication.force(registry, registry.version(number))
    command = Warehouse.command

    def publish_before(self: Warehouse, statement: str) -> Any:
        if statement.startswith("EXCHANGE TABLES analytics.recommendations "):
            monkeypatch.setattr(Warehouse, "command", command)
            publication.roll_back(other_machine)
            publication.publish(self, other_machine, registry.version("1"))
            assert published(self) == ["1"]
        return command(self, statement)

    monkeypatch.setattr(Warehouse, "command", publish_before)
    assert publication.publish(warehouse, registry, registry.version("2"))["champion"] == "1"
    assert published(warehouse) == ["1"]


def test_a_champion_that_never_rests_is_told(
    registry: Registry, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.force(registry, registry.version("1"))
    versions = {number: replace(registry.version(number), is_champion=True) for number in "12"}
    looks = 0

    def serving_champion(_: Registry) -> Any:
        nonlocal looks
        looks += 1
        return versions["12"[looks % 2]]

    monkeypatch.setattr(Registry, "serving_champion", serving_champion)
    before = published(warehouse)
    with pytest.raises(BusyError, match="changed 5 times"):
        publication.publish(warehouse, registry, registry.version("1"))
    assert published(warehouse) == before


def copied_champion(warehouse: Warehouse) -> list[int]:
    table = warehouse.batches("SELECT model_version FROM analytics.registry_versions WHERE is_champion")
    return [value for batch in table for value in batch.column(0).to_pylist()]


@pytest.mark.parametrize("changed_before", [warehouse_copy.VERSIONS_TABLE, warehouse_copy.METRICS_TABLE])
def test_the_champion_changes_while_the_registry_is_copied(
    registry: Registry,
    other_machine: Registry,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    changed_before: str,
) -> None:
    """Another machine's copy is done first, and this one, which has read earlier, replaces it."""
    publication.force(registry, registry.version("1"))
    swap = table_swap.swap_table

    def change_before(target: Warehouse, table: str, *words: Any) -> Any:
        if table == changed_before:
            monkeypatch.setattr(warehouse_copy, "swap_table", swap)
            publication.force(other_machine, registry.version("2"))
            warehouse_copy.copy_registry(warehouse, other_machine)
            assert copied_champion(warehouse) == [2]
        return swap(target, table, *words)

    monkeypatch.setattr(warehouse_copy, "swap_table", change_before)
    warehouse_copy.copy_registry(warehouse, registry)
    assert copied_champion(warehouse) == [2]


def test_a_registry_that_never_rests_is_copied_five_times_and_told(
    registry: Registry,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    version = registry.version("1")
    looks = itertools.count()
    swapped: list[str] = []
    monkeypatch.setattr(
        Registry, "versions", lambda *_: [replace(version, tags={**version.tags, "look": str(next(looks))})]
    )
    monkeypatch.setattr(warehouse_copy, "swap_table", lambda _, table, __: swapped.append(table))
    assert warehouse_copy.copy_registry(warehouse, registry) == 1
    assert swapped.count(warehouse_copy.VERSIONS_TABLE) == 5
    assert "event=registry_changes" in caplog.text
