"""The files of the import bundle as Python objects, and the dbt models that they use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "superset" / "assets"


@cache
def objects(kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind (databases, datasets, charts, dashboards) by path below the bundle."""
    files = sorted((ASSETS / kind).rglob("*.yaml"))
    return {
        file.relative_to(ASSETS).with_suffix("").as_posix(): yaml.safe_load(file.read_text())
        for file in files
    }


@cache
def by_uuid(kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind by UUID."""
    return {found["uuid"]: found for found in objects(kind).values()}


@dataclass(frozen=True)
class Dataset:
    """Columns and metrics of a data set that charts may use."""

    model: str
    columns: dict[str, dict[str, Any]]
    metrics: dict[str, str]

    @property
    def times(self) -> set[str]:
        """Columns for a time filter."""
        return {name for name, column in self.columns.items() if column.get("is_dttm")}


def dataset_of(chart: dict[str, Any]) -> Dataset:
    """Return the data set of a chart."""
    found = by_uuid("datasets")[chart["dataset_uuid"]]
    return Dataset(
        found["table_name"],
        {column["column_name"]: column for column in found["columns"]},
        {metric["metric_name"]: metric["expression"] for metric in found["metrics"]},
    )


@cache
def dbt_models() -> dict[str, dict[str, str]]:
    """Return the column types of every dbt model, from the yml files."""
    found: dict[str, dict[str, str]] = {}
    for name, model in _model_files().items():
        found[name] = {column["name"]: column.get("data_type", "") for column in model.get("columns", [])}
    return found


def model_description(name: str) -> str:
    """Return the description of a dbt model as one line."""
    return " ".join(_model_files()[name]["description"].split())


@cache
def _model_files() -> dict[str, dict[str, Any]]:
    models = (
        model
        for file in (ROOT / "dbt" / "models").rglob("*.yml")
        for model in (yaml.safe_load(file.read_text()) or {}).get("models", [])
    )
    return {model["name"]: model for model in models}


def exposures() -> dict[str, set[str]]:
    """Return the models of each dashboard from dbt's exposures, by title of the dashboard."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "dbt" / "models").rglob("*.yml"):
        for exposure in (yaml.safe_load(file.read_text()) or {}).get("exposures", []):
            if exposure["type"] == "dashboard":
                references = " ".join(exposure["depends_on"])
                found[exposure["label"]] = set(re.findall(r"ref\('(\w+)'\)", references))
    return found


def names_in(expression: str) -> set[str]:
    """Return the column names in a SQL expression: words that are not a literal, function or keyword."""
    without_text = re.sub(r"'[^']*'", "", expression)
    words = re.findall(r"\b([a-z_][a-z0-9_]*)\b(?!\s*\()", without_text, re.IGNORECASE)
    return {word for word in words if word.lower() not in {"is", "not", "null", "and", "or"}}


def placed(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the metadata of each chart on a dashboard."""
    for item in dashboard["position"].values():
        if isinstance(item, dict) and item["type"] == "CHART":
            yield item["meta"]


def charts_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the charts on a dashboard."""
    return [by_uuid("charts")[meta["uuid"]] for meta in placed(dashboard)]
