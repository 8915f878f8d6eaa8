"""A model of one database is never used for the people of another."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from click.testing import Result

from dataflix_recommender import OWN_SOURCE, Model, SourceIdentity
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError, RegistryError
from dataflix_trainer.promotion.publication import roll_back, source_problem
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.settings import ClickHouseSettings, MlflowSettings

Trainer = Callable[..., Result]
NAME = "model-of-two-sources"
SHOP = SourceIdentity("shop", "7345", 16400)
SMALL = ("--factors=2", "--iterations=1")


@contextmanager
def warehouse_of(services: Any, *sources: SourceIdentity) -> Iterator[None]:
    """Let the warehouse hold what these databases brought."""

    def say(*rows: SourceIdentity) -> None:
        services.sql("TRUNCATE TABLE analytics.data_source")
        for row in rows:
            services.sql(
                "INSERT INTO analytics.data_source VALUES"
                f" ('{row.name}', '{row.system_identifier}', {row.database_oid})"
            )

    say(*sources)
    try:
        yield
    finally:
        say(OWN_SOURCE)


@pytest.mark.parametrize("source", [None, SHOP])
def test_a_model_of_the_same_source_or_of_none_is_used(source: SourceIdentity | None) -> None:
    assert source_problem(source, SHOP) == ""


def test_a_model_of_another_source_is_refused_by_name() -> None:
    said = "it was trained on Dataflix's own Postgres, not on shop (database 16400 of cluster 7345)"
    assert source_problem(OWN_SOURCE, SHOP) == said


def test_mixed_tables_are_refused(services: Any) -> None:
    settings = ClickHouseSettings.from_environ(services.environ)
    with (
        warehouse_of(services, OWN_SOURCE, SHOP),
        Warehouse.connect(settings) as warehouse,
        pytest.raises(DataError, match=r"tables of 2 databases .*elt load --accept-source"),
    ):
        warehouse.source()


def test_a_champion_of_another_source_serves_nobody_here(
    trainer: Trainer, services: Any, tmp_path: Any
) -> None:
    run = partial(trainer, DATAFLIX_MODEL_NAME=NAME)

    def answer(*words: str) -> Any:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    answer("train", *SMALL)
    answer("promote", "1", "--force")
    with warehouse_of(services, SHOP):
        answer("train", *SMALL)
        registry = Registry(MlflowSettings.from_environ(services.environ | {"DATAFLIX_MODEL_NAME": NAME}))
        model = Model.load(registry.download_model(registry.version("2"), tmp_path))
        assert model.info.source == SHOP
        # The champion is of our own Postgres: it is not measured, not published, and not promoted again.
        published = answer("publish", "2")
        assert "trained on Dataflix's own Postgres" in (published["champion_problem"] or published["reason"])
        assert "trained on Dataflix's own Postgres" in answer("promote", "1")["reason"]
        refused = run("evaluate", "1")
        assert refused.exit_code != 0
        assert (
            "version 1 cannot be measured here: it was trained on Dataflix's own Postgres" in refused.output
        )
        answer("promote", "2", "--force")
        with pytest.raises(RegistryError, match=r"before 2; version 1 did, but it was trained on"):
            roll_back(registry)
