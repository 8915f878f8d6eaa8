"""A model of one database does not serve the tables of another."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from dataflix_backend.services.model.store import ModelStore, fits
from dataflix_backend.source import OUR_TABLES, Identity, Source
from dataflix_recommender import OWN_SOURCE, SourceIdentity
from dataflix_testkit import PostgresServer

from .conftest import StartApp, settings_for
from .support import data, models
from .support.api import ApiClient
from .support.copied import ITEMS, SHOP, Copied
from .support.log_records import records_of

OTHER = SourceIdentity("rental", "7300000000000000002", 16384)


def copy_of(source: SourceIdentity) -> Source:
    return Source(Identity(source.name, source.system_identifier or None, source.database_oid))


@pytest.mark.parametrize(
    ("model_of", "tables", "expected"),
    [
        (None, OUR_TABLES, True),
        (OWN_SOURCE, OUR_TABLES, True),
        (SHOP, OUR_TABLES, False),
        (None, copy_of(SHOP), False),
        (OWN_SOURCE, copy_of(SHOP), False),
        (SHOP, copy_of(SHOP), True),
        (replace(SHOP, name="renamed"), copy_of(SHOP), True),
        (OTHER, copy_of(SHOP), False),
        (replace(SHOP, database_oid=5), copy_of(SHOP), False),
        (SourceIdentity("shop", "", 16384), copy_of(SourceIdentity("shop", "", 16384)), True),
    ],
)
def test_who_fits_whom(model_of: SourceIdentity | None, tables: Source, expected: bool) -> None:
    of_source = models.taste_model({1: ["Action"]}, {1: "One"}, source=model_of)
    assert fits(of_source, tables) is expected


def test_a_champion_of_another_source_is_refused_and_the_last_good_model_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = [copy_of(SHOP)]
    models.publish(tmp_path, "1", models.taste_model({1: ["Action"]}, {1: "One"}, source=SHOP))
    store = ModelStore(tmp_path, lambda: tables[0])
    store.refresh()
    assert store.loaded is not None
    models.publish(tmp_path, "2", models.taste_model({1: ["Action"]}, {1: "One"}, source=OTHER))
    store.refresh()
    assert store.loaded.version == "1"
    problem = store.champion_problem()
    assert problem is not None
    assert problem.startswith(
        "Version 2 is a model of rental (database 16384 of cluster 7300000000000000002)"
    )
    assert [
        record.getMessage() for record in records_of(caplog, "dataflix_backend.services.model.store")
    ] == ["model refused"]
    # The tables become those of the other database: the model of the first one does not serve them.
    tables[0] = copy_of(OTHER)
    assert store.loaded is None
    store._retry_at = 0.0
    store.refresh()
    loaded = store.loaded
    assert loaded is not None
    assert (loaded.version, store.champion_problem()) == ("2", None)


def test_the_api_says_so_and_serves_popular_items(
    copied: Copied, shop: ApiClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, start_app: StartApp
) -> None:
    sample = models.taste_model({1: ["Action"]}, {1: "One"})
    models.publish(tmp_path / "models", "9", sample)
    with caplog.at_level(logging.ERROR):
        app = start_app(settings_for(tmp_path, copied.server))
    client = ApiClient(app.test_client(), shop.contract)
    ready = client.get("/readyz", key=None).json
    assert ready["checks"]["model"] == "none"
    assert "Version 9 is a model of Dataflix's own Postgres" in ready["checks"]["champion"]
    assert "shop (database 16384" in ready["checks"]["champion"]
    listed = client.get("/popular").json
    assert listed["meta"]["source"] == "popularity"
    assert {row["movie_id"] for row in listed["data"]} <= set(ITEMS)


def test_a_model_of_a_shop_does_not_serve_our_own_tables(
    pg: PostgresServer,
    catalogue: data.Catalogue,
    api: ApiClient,
    tmp_path: Path,
    start_app: StartApp,
) -> None:
    models.publish(
        tmp_path / "models", "3", models.taste_model(catalogue.genres, catalogue.titles, source=SHOP)
    )
    client = ApiClient(start_app(settings_for(tmp_path, pg)).test_client(), api.contract)
    assert client.get("/popular").json["meta"]["source"] == "popularity"
    client.get("/model").problem(404)
