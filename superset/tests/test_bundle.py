"""The dashboards as files: every name leads on, from dashboard to chart, data set and dbt model."""

import json
import uuid
from typing import Any

import pytest

from dataflix_superset import bundle
from dataflix_superset.errors import SetupError

from .bundle_files import (
    ASSETS,
    by_uuid,
    charts_of,
    dataset_of,
    dbt_models,
    exposures,
    names_in,
    objects,
    placed,
)

# Where the UUIDs come from: one is kept as long as its file keeps its name.
NAMESPACE = uuid.UUID("6d1c3e52-2f0b-4b6e-9d43-8a7d5f1c0e11")

CHARTS = objects("charts")
DASHBOARDS = objects("dashboards")
DATASETS = objects("datasets")

WANTED = {
    "Dataflix Analytics": {
        "Movies by genre",
        "Average rating per movie",
        "Total watched",
        "Users by country",
        "User-movie interaction matrix",
        "Aggregated ratings",
        "Ratings over time",
        "Genre popularity",
        "Trending movies",
    },
    "Model and data health": {
        "Metrics per model version",
        "Champion against the baselines",
        "Promotion history",
        "Catalogue coverage",
        "Catalogue coverage by genre",
        "Pipeline row counts",
        "Pipeline freshness",
        "Latest loads",
        "Data quality by layer",
        "Latest test results",
    },
}


@pytest.mark.parametrize("path", [*objects("databases"), *DATASETS, *CHARTS, *DASHBOARDS])
def test_a_uuid_belongs_to_the_file_s_name(path: str) -> None:
    kind = path.split("/", maxsplit=1)[0]
    assert objects(kind)[path]["uuid"] == str(uuid.uuid5(NAMESPACE, path))


def test_the_dashboards_hold_the_charts_that_people_look_for() -> None:
    titles = {
        dashboard["dashboard_title"]: {chart["slice_name"] for chart in charts_of(dashboard)}
        for dashboard in DASHBOARDS.values()
    }
    assert titles == WANTED


def test_every_chart_is_on_one_dashboard() -> None:
    shown = [meta["uuid"] for dashboard in DASHBOARDS.values() for meta in placed(dashboard)]
    assert sorted(shown) == sorted(by_uuid("charts"))


@pytest.mark.parametrize("path", CHARTS)
def test_a_chart_says_what_it_shows(path: str) -> None:
    assert len(CHARTS[path]["description"]) > 60
    assert CHARTS[path]["description"].endswith(".")


@pytest.mark.parametrize("path", DATASETS)
def test_a_data_set_is_a_dbt_model_column_by_column(path: str) -> None:
    dataset = DATASETS[path]
    assert dataset["schema"] == "analytics"
    assert dataset["database_uuid"] in by_uuid("databases")
    model = dbt_models()[dataset["table_name"]]
    columns = {column["column_name"]: column for column in dataset["columns"]}
    stored = {name: column["type"] for name, column in columns.items() if "expression" not in column}
    assert stored == model
    for column in columns.values():
        assert names_in(column.get("expression", "")) <= model.keys(), column["column_name"]
    for metric in dataset["metrics"]:
        assert names_in(metric["expression"]) <= model.keys(), metric["metric_name"]
        assert metric["description"]
    assert dataset["main_dttm_col"] in {None, *model}


@pytest.mark.parametrize("path", CHARTS)
def test_a_chart_names_only_what_its_data_set_has(path: str) -> None:
    chart = CHARTS[path]
    dataset = dataset_of(chart)
    assert _columns(chart["params"]) <= dataset.columns.keys()
    assert _metrics(chart["params"]) <= dataset.metrics.keys()


@pytest.mark.parametrize("path", CHARTS)
def test_the_stored_query_asks_for_what_the_chart_shows(path: str) -> None:
    chart = CHARTS[path]
    queries = json.loads(chart["query_context"])["queries"]
    params = chart["params"]
    asked = {
        column if isinstance(column, str) else column["label"]
        for query in queries
        for column in query["columns"]
    }
    assert asked == _shown(params)
    assert {metric for query in queries for metric in query["metrics"]} == _metrics(params)
    for query in queries:
        simple = {entry["subject"] for entry in params["adhoc_filters"] if "subject" in entry}
        assert {entry["col"] for entry in query["filters"]} == simple
        clauses = [entry["sqlExpression"] for entry in params["adhoc_filters"] if "sqlExpression" in entry]
        for clause in clauses:
            assert f"({clause})" in query["extras"].values()


@pytest.mark.parametrize("path", DASHBOARDS)
def test_a_filter_works_on_every_chart_in_its_scope(path: str) -> None:
    dashboard = DASHBOARDS[path]
    numbers = {meta["chartId"]: by_uuid("charts")[meta["uuid"]] for meta in placed(dashboard)}
    assert len(numbers) == len(list(placed(dashboard)))
    for native_filter in dashboard["metadata"]["native_filter_configuration"]:
        excluded = set(native_filter["scope"]["excluded"])
        assert excluded < numbers.keys()
        for target in native_filter["targets"]:
            if target:
                table = by_uuid("datasets")[target["datasetUuid"]]
                assert target["column"]["name"] in {column["column_name"] for column in table["columns"]}
        for number in numbers.keys() - excluded:
            chart = numbers[number]
            if native_filter["filterType"] == "filter_time":
                subjects = {entry.get("subject") for entry in chart["params"]["adhoc_filters"]}
                assert subjects & dataset_of(chart).times, chart["slice_name"]
            else:
                column = native_filter["targets"][0]["column"]["name"]
                assert column in dataset_of(chart).columns, chart["slice_name"]


def test_filters_and_cross_filters_are_on() -> None:
    for dashboard in DASHBOARDS.values():
        assert dashboard["metadata"]["cross_filters_enabled"] is True
        assert dashboard["metadata"]["native_filter_configuration"]
    names = {
        native_filter["name"]
        for native_filter in DASHBOARDS["dashboards/Dataflix_Analytics"]["metadata"][
            "native_filter_configuration"
        ]
    }
    assert names == {"Genre", "Release year", "Time"}


def test_a_click_on_a_horizontal_bar_filters_nothing() -> None:
    """Superset 6.1 would send the bar's length as the filter's value, and every chart would be empty."""
    for dashboard in DASHBOARDS.values():
        numbers = {meta["uuid"]: meta["chartId"] for meta in placed(dashboard)}
        for chart in charts_of(dashboard):
            if chart["params"].get("orientation") == "horizontal":
                own = dashboard["metadata"]["chart_configuration"][str(numbers[chart["uuid"]])]
                assert set(own["crossFilters"]["scope"]["excluded"]) == set(numbers.values())


def test_dbt_knows_which_models_the_dashboards_read() -> None:
    read = {
        dashboard["dashboard_title"]: {dataset_of(chart).model for chart in charts_of(dashboard)}
        for dashboard in DASHBOARDS.values()
    }
    assert exposures() == read


def test_no_password_is_in_the_bundle() -> None:
    for path, database in objects("databases").items():
        assert database["sqlalchemy_uri"].startswith("clickhousedb://reader:XXXXXXXXXX@"), path
        assert "password" not in database


def test_the_bundle_is_read_whole_and_connected() -> None:
    read = bundle.read(ASSETS)
    assert {kind: len(uuids) for kind, uuids in read.uuids.items()} == {
        kind: len(objects(kind)) for kind in read.uuids
    }
    uri = "clickhousedb://reader:XXXXXXXXXX@warehouse:9123/analytics"
    moved = read.connected_to(uri)
    assert all(uri in moved.contents[path] for path in moved.databases)
    assert moved.digest() != read.digest()
    assert read.connected_to(uri).digest() == moved.digest()


def test_a_folder_without_metadata_is_refused(tmp_path: Any) -> None:
    with pytest.raises(SetupError, match=r"no import bundle.*metadata\.yaml"):
        bundle.read(tmp_path)


@pytest.mark.parametrize("text", ["slice_name: no uuid\n", "a: [\n", "just words\n"])
def test_a_file_that_is_no_object_is_named(tmp_path: Any, text: str) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "metadata.yaml").write_text("version: 1.0.0\ntype: assets\n")
    (tmp_path / "charts" / "broken.yaml").write_text(text)
    with pytest.raises(SetupError, match=r"broken\.yaml can't be imported"):
        bundle.read(tmp_path)


def test_two_objects_with_one_uuid_are_both_named(tmp_path: Any) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "metadata.yaml").write_text("version: 1.0.0\ntype: assets\n")
    for name in ("one", "two"):
        (tmp_path / "charts" / f"{name}.yaml").write_text("uuid: 1f0e\n")
    with pytest.raises(SetupError, match=r"charts/one\.yaml and charts/two\.yaml have the same UUID"):
        bundle.read(tmp_path)


def _filters(params: dict[str, Any]) -> list[dict[str, Any]]:
    return [*params["adhoc_filters"], *params.get("adhoc_filters_b", [])]


def _shown(params: dict[str, Any]) -> set[str]:
    named: set[str] = set()
    for key in ("x_axis", "groupby", "groupby_b", "groupbyRows", "groupbyColumns", "all_columns"):
        value = params.get(key, [])
        named |= {value} if isinstance(value, str) else set(value)
    return named


def _columns(params: dict[str, Any]) -> set[str]:
    named = _shown(params) | set(params.get("column_config", {}))
    named |= {json.loads(order)[0] for order in params.get("order_by_cols", [])}
    for entry in _filters(params):
        named |= {entry["subject"]} if "subject" in entry else names_in(entry["sqlExpression"])
    return named


def _metrics(params: dict[str, Any]) -> set[str]:
    named = set(params.get("metrics", [])) | set(params.get("metrics_b", []))
    return named | ({params["metric"]} if "metric" in params else set())
