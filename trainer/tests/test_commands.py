"""Four versions, from training to rollback, by the commands on real services."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import Result

from dataflix_recommender import Model
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.registry import registry as registry_module
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.registry.warehouse_copy import copy_registry
from dataflix_trainer.settings import ClickHouseSettings, MlflowSettings

Trainer = Callable[..., Result]
# Its own, because other modules register versions, too.
NAME = "model-of-the-commands"


@pytest.fixture(scope="module")
def trainer(trainer: Trainer) -> Trainer:
    return partial(trainer, DATAFLIX_MODEL_NAME=NAME)


def open_registry(services: Any) -> Registry:
    return Registry(MlflowSettings.from_environ(services.environ | {"DATAFLIX_MODEL_NAME": NAME}))


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


RUN_URL = "http://127.0.0.1:8080/dags/elt_pipeline/runs/run-1"


@dataclass
class Story:
    trained: dict[str, Any]
    first: dict[str, Any]
    rows_at_first: list[tuple[Any, ...]]
    again: dict[str, Any]
    worse: dict[str, Any]
    other: dict[str, Any]
    copied_versions: list[tuple[Any, ...]]
    copied_metrics: list[tuple[Any, ...]]
    rolled_back: dict[str, Any]
    registry: Registry


@pytest.fixture(scope="module")
def story(trainer: Trainer, services: Any) -> Story:
    """Version 1 serves, 2 is worse and refused, 3 takes over and is rolled back."""
    small = ("--factors=8", "--iterations=8", "--json")
    origin = ("--airflow-run-id=run-1", f"--airflow-run-url={RUN_URL}", "--dbt-manifest-sha256=ab12")
    trained = answer(trainer("train", *small, *origin))
    first = answer(trainer("publish", "--json"))
    rows = services.sql("SELECT * FROM analytics.recommendations ORDER BY user_id, rank")
    again = answer(trainer("publish", "1", "--json"))
    # A ridge a thousand times too strong leaves nothing in the factors, and there are no item-item weights.
    answer(trainer("train", *small, "--regularization=100000", "--link-weight=0"))
    worse = answer(trainer("publish", "2", "--json"))
    answer(trainer("train", *small, "--seed=7"))
    other = answer(trainer("publish", "3", "--json"))
    versions = services.sql(
        "SELECT model_version, decision, is_champion, airflow_run_id, promoted_at IS NULL, decision_reason "
        "FROM analytics.registry_versions ORDER BY model_version"
    )
    metrics = services.sql("SELECT * FROM analytics.registry_metrics WHERE model_version = 1")
    rolled_back = answer(trainer("rollback", "--json"))
    registry = open_registry(services)
    return Story(trained, first, rows, again, worse, other, versions, metrics, rolled_back, registry)


def test_a_training_tells_its_run_version_and_metrics(story: Story) -> None:
    metrics = story.trained["metrics"]
    assert story.trained["model_version"] == "1"
    assert metrics["ndcg@10_low"] < metrics["ndcg@10"] < metrics["ndcg@10_high"]
    assert metrics["ndcg@10"] > 1.5 * metrics["popularity_ndcg@10"]
    assert 0 < metrics["coverage@10"] <= 1


def test_the_run_records_where_the_model_came_from(story: Story) -> None:
    run = mlflow.MlflowClient().get_run(story.trained["mlflow_run_id"])
    assert run.data.params["factors"] == "8"
    assert run.data.params["n_interactions"] == "3000"
    assert run.data.metrics["ndcg_at_10"] == pytest.approx(story.trained["metrics"]["ndcg@10"])
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    version = story.registry.version("1")
    assert data.dataset.name == "analytics.user_item_matrix"
    assert len(version.tags["dataset_sha256"]) == 64
    assert version.tags["dataset_sha256"].startswith(data.dataset.digest)
    assert version.tags["airflow_run_id"] == "run-1"
    description = str(mlflow.MlflowClient().get_model_version(NAME, "1").description)
    assert "3,000 interactions of 150 users with 91 movies" in description
    assert f"[`run-1`]({RUN_URL})" in description


def test_the_logged_model_serves_by_itself(story: Story) -> None:
    model = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    example = model.input_example
    assert set(example) == {"movie_ids", "ratings"}
    example["movie_ids"], example["ratings"] = [[100, 103, 106]], [[5.0, 4.5, float("nan")]]
    found = model.predict(example, params={"n": 5})
    assert len(found["movie_ids"][0]) == 5
    # All three are of one genre, and so is what is recommended.
    assert {movie % 3 for movie in found["movie_ids"][0]} == {100 % 3}
    assert not {100, 103, 106} & set(found["movie_ids"][0])


def test_the_artifact_lies_where_serving_looks_for_it(story: Story, tmp_path: Path) -> None:
    path = story.registry.download_model(story.registry.version("1"), tmp_path)
    model = Model.load(path)
    assert path.name == "dataflix-model"
    assert model.size == 91
    assert model.info.dbt_manifest_sha256 == "ab12"
    assert model.info.metrics == story.trained["metrics"]
    assert not model.item_factors[model.positions([1000])].any()  # nobody has seen it


def test_the_first_version_serves_because_it_beats_popularity(story: Story) -> None:
    assert story.first["promoted"] is True
    assert story.first["champion"] == "1"
    assert "beats popularity" in story.first["reason"]
    assert story.registry.version("1").tags["promotion"] == "accepted"
    assert story.registry.version("1").tags["promotion_reason"] == story.first["reason"]


def test_every_user_gets_a_whole_list_without_what_was_seen(story: Story, services: Any) -> None:
    assert story.first["recommendation_rows"] == len(story.rows_at_first) == 151 * 20
    seen = set(services.sql("SELECT user_id, movie_id FROM analytics.user_item_matrix"))
    listed = {(row[0], row[2]) for row in story.rows_at_first}
    assert len(listed) == len(story.rows_at_first)
    assert not listed & seen
    for user in range(1, 152):
        mine = [row for row in story.rows_at_first if row[0] == user]
        assert [row[1] for row in mine] == list(range(1, 21))
        assert [row[3] for row in mine] == sorted((row[3] for row in mine), reverse=True)
    assert {row[4] for row in story.rows_at_first} == {"1"}


def test_publishing_again_is_harmless(story: Story) -> None:
    assert story.again["promoted"] is True
    assert "already" in story.again["reason"]
    assert story.again["recommendation_rows"] == 3020


def test_a_worse_version_is_refused_and_the_champion_stays(story: Story) -> None:
    assert story.worse["promoted"] is False
    assert story.worse["champion"] == "1"
    assert story.worse["recommendation_rows"] == 3020
    assert story.registry.version("2").tags["promotion"] == "refused"
    assert story.registry.version("2").tags["promotion_reason"] == story.worse["reason"]


def test_an_equal_version_takes_over_and_is_compared_with_the_champion(story: Story) -> None:
    assert story.other["promoted"] is True
    assert story.other["champion"] == "3"
    assert "not worse than the champion" in story.other["reason"]


def test_rollback_gives_the_alias_to_the_version_before(story: Story) -> None:
    assert story.rolled_back == {"champion": "1", "rolled_back": "3"}
    champion = story.registry.champion()
    assert champion is not None
    assert champion.number == "1"


def test_a_second_rollback_has_nowhere_to_go(story: Story, trainer: Trainer) -> None:
    result = trainer("rollback")
    assert result.exit_code == 5
    assert "no version served before 1" in result.stderr


def test_models_lists_every_version_with_its_decision(story: Story, trainer: Trainer) -> None:
    listed = answer(trainer("models", "--json"))
    by_number = {row["version"]: row for row in listed}
    assert list(by_number) == ["3", "2", "1"]
    assert [by_number[n]["champion"] for n in "123"] == [True, False, False]
    assert by_number["3"]["rolled_back_at"] is not None
    assert by_number["1"]["held_since"] is not None
    assert by_number["1"]["held_reason"] == "Rolled back from version 3."
    assert by_number["1"]["metrics"]["ndcg@10"] == story.trained["metrics"]["ndcg@10"]
    table = trainer("models").stdout
    for words in ("1 champion, held", "rolled back", "refused", "accepted"):
        assert words in table
    assert [row["version"] for row in answer(trainer("models", "--limit=1", "--json"))] == ["3"]


def test_evaluate_measures_the_champion_on_events_it_has_not_seen(story: Story, trainer: Trainer) -> None:
    measured = answer(trainer("evaluate", "--json"))
    assert measured["version"] == "1"
    assert measured["users"] == 150
    assert measured["metrics"]["ndcg@10"] == pytest.approx(story.trained["metrics"]["ndcg@10"], abs=1e-6)
    assert measured["popularity"]["ndcg@10"] < measured["metrics"]["ndcg@10"]
    assert "popularity" in trainer("evaluate", "2").stdout


@pytest.mark.parametrize("words", [("promote", "99"), ("evaluate", "99"), ("publish", "one")])
def test_a_version_that_is_not_there_is_named(story: Story, trainer: Trainer, words: tuple[str, str]) -> None:
    result = trainer(*words, "--json")
    assert result.exit_code == 5
    assert words[1] in json.loads(result.stdout)["error"]
    assert "trainer models" in result.stderr


def test_a_person_may_force_a_version_and_that_is_written_on_it(story: Story, trainer: Trainer) -> None:
    forced = answer(trainer("promote", "2", "--force", "--json"))
    assert forced["promoted"] is True
    assert story.registry.version("2").is_champion
    assert story.registry.version("2").tags["promotion_reason"] == "promoted by hand, without the rule"
    assert answer(trainer("rollback", "--json")) == {"champion": "1", "rolled_back": "2"}


def test_a_clock_that_was_set_back_changes_no_order(
    story: Story, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TenYearsAgo(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "TenYearsAgo":
            return cls.fromtimestamp(time.time() - 10 * 365 * 86400, tz)

    monkeypatch.setattr(registry_module, "datetime", TenYearsAgo)
    answer(trainer("promote", "2", "--force", "--json"))
    assert answer(trainer("rollback", "--json")) == {"champion": "1", "rolled_back": "2"}


def test_a_hold_keeps_its_reason_until_it_is_released(story: Story, trainer: Trainer) -> None:
    def held() -> tuple[bool, str | None]:
        (row,) = [row for row in answer(trainer("models", "--json")) if row["champion"]]
        return row["held_since"] is not None, row["held_reason"]

    for wrong in ("two\nlines", "x" * 201, "\x1b[31m"):
        assert trainer("hold", "--reason", wrong).exit_code == 2
    assert answer(trainer("hold", "--reason", "Until the sale ends.", "--json"))["held_before"] is True
    assert held() == (True, "Until the sale ends.")
    # A hold without a reason keeps the one that is there.
    answer(trainer("hold", "--json"))
    assert held() == (True, "Until the sale ends.")
    answer(trainer("release", "--json"))
    assert held() == (False, None)
    answer(trainer("hold", "--json"))
    assert held() == (True, None)


def test_a_version_that_was_rolled_back_may_serve_again(story: Story, trainer: Trainer) -> None:
    answer(trainer("release", "--json"))
    answer(trainer("promote", "3", "--json"))
    assert story.registry.version("3").is_champion
    assert "rolled_back_at" not in story.registry.version("3").tags
    assert answer(trainer("rollback", "--json")) == {"champion": "1", "rolled_back": "3"}


def test_export_writes_what_was_published(
    story: Story, trainer: Trainer, services: Any, tmp_path: Path
) -> None:
    published = services.sql("SELECT user_id, rank, movie_id FROM analytics.recommendations ORDER BY 1, 2")
    for file_format, read in (("csv", pyarrow.csv.read_csv), ("parquet", pyarrow.parquet.read_table)):
        file = tmp_path / f"lists.{file_format}"
        done = answer(trainer("export", f"--format={file_format}", f"--out={file}", "--json"))
        table = read(file)
        assert done["rows"] == table.num_rows == len(published)
        columns = (table["user_id"], table["rank"], table["movie_id"])
        assert list(zip(*(column.to_pylist() for column in columns), strict=True)) == published
    assert {file.name for file in tmp_path.iterdir()} == {"lists.csv", "lists.parquet"}


def test_export_writes_to_s3(story: Story, trainer: Trainer, services: Any, tmp_path: Path) -> None:
    import boto3

    answer(trainer("export", "--format=parquet", "--out=s3://dataflix/exports/lists.parquet", "--json"))
    client = boto3.client(
        "s3",
        endpoint_url=services.s3.endpoint_url,
        aws_access_key_id=services.environ["DATAFLIX_S3_ACCESS_KEY"],
        aws_secret_access_key=services.environ["DATAFLIX_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    client.download_file("dataflix", "exports/lists.parquet", str(tmp_path / "back.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "back.parquet").num_rows == 3020


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("/no/such/folder/lists.csv", 6, "/no/such/folder"),
        ("s3://nobucket/lists.csv", 6, "nobucket"),
        ("s3://dataflix", 6, "s3://bucket/key"),
        ("ftp://host/lists.csv", 6, "s3://bucket/key"),
    ],
)
def test_export_names_a_target_that_cannot_be_written(
    story: Story, trainer: Trainer, out: str, code: int, words: str
) -> None:
    result = trainer("export", "--format=csv", f"--out={out}")
    assert result.exit_code == code
    assert words in result.stderr


def test_publishing_drops_old_staging_tables_and_keeps_young_ones(
    story: Story, trainer: Trainer, services: Any
) -> None:
    old, unknown = "recommendations__20200101T000000_0badcafe", "recommendations__of_somebody"
    for name in (old, unknown):
        services.sql(f"CREATE TABLE analytics.{name} AS analytics.recommendations")
    answer(trainer("publish", "1", "--json"))
    tables = {row[0] for row in services.sql("SELECT name FROM system.tables WHERE database = 'analytics'")}
    assert old not in tables
    assert unknown in tables
    assert len([name for name in tables if name.startswith("recommendations__")]) >= 2
    services.sql(f"DROP TABLE analytics.{unknown}")


def test_publishing_copies_the_registry_to_the_warehouse(story: Story) -> None:
    assert [row[:5] for row in story.copied_versions] == [
        (1, "accepted", False, "run-1", False),
        (2, "refused", False, "", True),
        (3, "accepted", True, "", False),
    ]
    assert story.copied_versions[1][5] == story.worse["reason"]
    values = {(candidate, metric): value for _, candidate, metric, value in story.copied_metrics}
    measured = story.trained["metrics"]
    assert values["model", "ndcg@10"] == pytest.approx(measured["ndcg@10"])
    assert values["popularity", "ndcg@10"] == pytest.approx(measured["popularity_ndcg@10"])
    of = {candidate: {metric for who, metric in values if who == candidate} for candidate, _ in values}
    assert of.keys() == {"model", "popularity"}
    assert of["model"] == of["popularity"] > {"ndcg@10", "coverage@10"}


def test_a_version_that_was_rolled_back_is_told_as_such(story: Story, services: Any) -> None:
    assert story.rolled_back["rolled_back"] == "3"
    registry = open_registry(services)
    with Warehouse.connect(ClickHouseSettings.from_environ(services.environ)) as warehouse:
        assert copy_registry(warehouse, registry) >= 3
    decisions = services.sql("SELECT decision FROM analytics.registry_versions WHERE model_version = 3")
    assert decisions == [("rolled back",)]


def test_what_a_person_writes_about_the_model_stays(story: Story, trainer: Trainer) -> None:
    client = mlflow.MlflowClient()
    assert "ALS" in str(client.get_registered_model(NAME).description)
    client.update_registered_model(NAME, "Our own words")
    answer(trainer("train", "--factors=2", "--iterations=1", "--json"))
    assert client.get_registered_model(NAME).description == "Our own words"
