"""The dashboards as files: every name exists, from dashboard to chart, data set and dbt model."""

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
    model_description,
    names_in,
    objects,
    placed,
)

# A UUID is made from the name of its file.
NAMESPACE = uuid.UUID("6d1c3e52-2f0b-4b6e-9d43-8a7d5f1c0e11")

CHARTS = objects("charts")
DASHBOARDS = objects("dashboards")
DATASETS = objects("datasets")

EXPECTED_CHARTS = {
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
def test_uuid_is_made_from_the_file_name(path: str) -> None:
    kind = path.split("/", maxsplit=1)[0]
    assert objects(kind)[path]["uuid"] == str(uuid.uuid5(NAMESPACE, path))


def test_dashboards_have_the_expected_charts() -> None:
    titles = {
        dashboard["dashboard_title"]: {chart["slice_name"] for chart in charts_of(dashboard)}
        for dashboard in DASHBOARDS.values()
    }
    assert titles == EXPECTED_CHARTS


def test_every_chart_is_on_one_dashboard() -> None:
    shown = [meta["uuid"] for dashboard in DASHBOARDS.values() for meta in placed(dashboard)]
    assert sorted(shown) == sorted(by_uuid("charts"))


@pytest.mark.parametrize("path", CHARTS)
def test_chart_has_a_description(path: str) -> None:
    assert len(CHARTS[path]["description"]) > 60
    assert CHARTS[path]["description"].endswith(".")


@pytest.mark.parametrize("path", DATASETS)
def test_data_set_matches_its_dbt_model(path: str) -> None:
    dataset = DATASETS[path]
    assert dataset["schema"] == "analytics"
    assert dataset["database_uuid"] in by_uuid("databases")
    model = dbt_models()[dataset["table_name"]]
    assert dataset["description"] == model_description(dataset["table_name"])
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
def test_chart_uses_only_columns_and_metrics_of_its_data_set(path: str) -> None:
    chart = CHARTS[path]
    dataset = dataset_of(chart)
    assert _columns(chart["params"]) <= dataset.columns.keys()
    assert _metrics(chart["params"]) <= dataset.metrics.keys()


@pytest.mark.parametrize("path", CHARTS)
def test_stored_query_matches_the_chart(path: str) -> None:
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
def test_filter_works_on_every_chart_in_its_scope(path: str) -> None:
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


def test_filters_and_cross_filters_are_enabled() -> None:
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


def test_click_on_a_horizontal_bar_filters_nothing() -> None:
    """Superset 6.1 sends the length of the bar as the filter's value, and every chart would be empty."""
    for dashboard in DASHBOARDS.values():
        numbers = {meta["uuid"]: meta["chartId"] for meta in placed(dashboard)}
        for chart in charts_of(dashboard):
            if chart["params"].get("orientation") == "horizontal":
                own = dashboard["metadata"]["chart_configuration"][str(numbers[chart["uuid"]])]
                assert set(own["crossFilters"]["scope"]["excluded"]) == set(numbers.values())


def test_dbt_exposures_list_the_models_of_the_dashboards() -> None:
    read = {
        dashboard["dashboard_title"]: {dataset_of(chart).model for chart in charts_of(dashboard)}
        for dashboard in DASHBOARDS.values()
    }
    assert exposures() == read


def test_bundle_has_no_password() -> None:
    for path, database in objects("databases").items():
        assert database["sqlalchemy_uri"].startswith("clickhousedb://reader:XXXXXXXXXX@"), path
        assert "password" not in database


def test_bundle_is_read_and_connected() -> None:
    read = bundle.read(ASSETS)
    assert {kind: len(uuids) for kind, uuids in read.uuids.items()} == {
        kind: len(objects(kind)) for kind in read.uuids
    }
    uri = "clickhousedb://reader:XXXXXXXXXX@warehouse:9123/analytics"
    moved = read.connected_to(uri)
    assert all(uri in moved.contents[path] for path in moved.databases)
    assert moved.digest() != read.digest()
    assert read.connected_to(uri).digest() == moved.digest()


def test_folder_without_metadata_is_refused(tmp_path: Any) -> None:
    with pytest.raises(SetupError, match=r"no import bundle.*metadata\.yaml"):
        bundle.read(tmp_path)


@pytest.mark.parametrize("text", ["slice_name: no uuid\n", "a: [\n", "just words\n"])
def test_file_that_is_not_an_object_is_named(tmp_path: Any, text: str) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "metadata.yaml").write_text("version: 1.0.0\ntype: assets\n")
    (tmp_path / "charts" / "broken.yaml").write_text(text)
    with pytest.raises(SetupError, match=r"broken\.yaml can't be imported"):
        bundle.read(tmp_path)


def test_duplicate_uuid_names_both_files(tmp_path: Any) -> None:
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
