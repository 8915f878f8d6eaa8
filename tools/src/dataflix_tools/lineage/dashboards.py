"""Superset's dashboards: each chart on a data set, each data set on a dbt model, column by column."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataflix_tools.lineage.dbt import read_yaml
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.sql import UnreadableSqlError, names_in

_ASSETS = Path("superset") / "assets"

# The parameters that name columns or metrics, for the types of charts that we have.
_NAMES_AT = (
    *("x_axis", "groupby", "groupby_b", "groupbyRows", "groupbyColumns", "all_columns"),
    *("metric", "metrics", "metrics_b", "x_axis_sort", "column_config"),
)
_FILTERS_AT = ("adhoc_filters", "adhoc_filters_b")


def add_dashboards(graph: Graph, root: Path) -> None:
    """Add the columns and metrics of data sets, the charts that show them, and the charts' dashboards."""
    datasets = _objects(root, "datasets")
    for file, dataset in datasets.values():
        _add_dataset(graph, file, dataset)
    charts = _objects(root, "charts")
    for file, chart in charts.values():
        _, dataset = datasets.get(chart["dataset_uuid"], ("", {}))
        if not dataset:
            graph.find(file, chart["slice_name"], f"stands on no data set: {chart['dataset_uuid']}")
            continue
        if not chart.get("description"):
            graph.find(file, chart["slice_name"], "is not documented (description)")
        for name in sorted(_named_by(graph, file, chart)):
            source = Name("dataset", dataset["table_name"], name)
            about = graph.columns[source].about if source in graph.columns else ""
            graph.add(Column(Name("chart", chart["slice_name"], name), file, about), [source])
    for file, dashboard in _objects(root, "dashboards").values():
        _add_dashboard(graph, file, dashboard, charts, datasets)


def _add_dataset(graph: Graph, file: str, dataset: dict[str, Any]) -> None:
    table = dataset["table_name"]
    model = graph.table("dbt", table)
    if not model:
        graph.find(file, table, "is no dbt model")
        return
    for column in dataset["columns"]:
        name = column["column_name"]
        if "expression" in column:
            _add_computed(graph, file, table, name, column)
        else:
            about = model[name].about if name in model else ""
            graph.add(Column(Name("dataset", table, name), file, about), [Name("dbt", table, name)])
    for metric in dataset["metrics"]:
        _add_computed(graph, file, table, metric["metric_name"], metric)
    time = dataset.get("main_dttm_col")
    if time and Name("dataset", table, time) not in graph.columns:
        graph.find(file, f"{table}.{time}", "is the time column, but no column")


def _add_computed(graph: Graph, file: str, table: str, name: str, computed: dict[str, Any]) -> None:
    about = computed.get("description", "")
    if not about:
        graph.find(file, f"{table}.{name}", "is not documented (description)")
    named = _names_in(graph, file, f"{table}.{name}", computed["expression"])
    graph.add(Column(Name("dataset", table, name), file, about), [Name("dbt", table, item) for item in named])


def _named_by(graph: Graph, file: str, chart: dict[str, Any]) -> Iterator[str]:
    """Yield each column and metric of its data set that a chart names, in its parameters and its query."""
    params = chart["params"]
    for key in _NAMES_AT:
        value = params.get(key) or []
        yield from [value] if isinstance(value, str) else value
    for order in params.get("order_by_cols", []):
        yield json.loads(order)[0]
    for key in _FILTERS_AT:
        for entry in params.get(key, []):
            if "subject" in entry:
                yield entry["subject"]
            else:
                yield from _names_in(graph, file, chart["slice_name"], entry["sqlExpression"])
    for query in json.loads(chart["query_context"])["queries"]:
        for column in query["columns"]:
            yield column if isinstance(column, str) else column["sqlExpression"]
        yield from query["metrics"]
        yield from (entry["col"] for entry in query.get("filters", []))
        yield from (order for order, _ in query.get("orderby", []))


def _add_dashboard(
    graph: Graph,
    file: str,
    dashboard: dict[str, Any],
    charts: dict[str, tuple[str, dict[str, Any]]],
    datasets: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    title = dashboard["dashboard_title"]
    for item in dashboard["position"].values():
        if not (isinstance(item, dict) and item["type"] == "CHART"):
            continue
        _, chart = charts.get(item["meta"]["uuid"], ("", {}))
        if not chart:
            graph.find(file, item["meta"]["sliceName"], f"is no chart: {item['meta']['uuid']}")
            continue
        shown = [name for name in graph.columns if (name.layer, name.table) == ("chart", chart["slice_name"])]
        graph.add(Column(Name("dashboard", title, chart["slice_name"]), file, chart["description"]), shown)
    for native_filter in dashboard["metadata"]["native_filter_configuration"]:
        for target in filter(None, native_filter["targets"]):
            _, dataset = datasets.get(target["datasetUuid"], ("", {}))
            source = Name("dataset", dataset.get("table_name", "?"), target["column"]["name"])
            name = Name("dashboard", title, f"filter {native_filter['name']}")
            graph.add(Column(name, file, native_filter.get("description", "")), [source])


def _names_in(graph: Graph, file: str, name: str, expression: str) -> set[str]:
    try:
        return names_in(expression)
    except UnreadableSqlError as error:
        graph.find(file, name, str(error))
        return set()


def _objects(root: Path, kind: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return file and content of each object of a kind, by UUID."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in sorted((root / _ASSETS / kind).rglob("*.yaml")):
        content = read_yaml(path)
        found[content["uuid"]] = (path.relative_to(root).as_posix(), content)
    return found
