"""Airflow's pages of elt_pipeline."""

from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from dataflix_testkit.process import ROOT
from dataflix_testkit.stack import Stack

from .conftest import Screenshot
from .login import log_in_to_airflow

pytestmark = pytest.mark.also_on_movielens

MODELS = ROOT / "dbt" / "models"


@pytest.fixture
def run(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.airflow("dags/elt_pipeline/dagRuns?order_by=run_after&limit=1")["dag_runs"][
        0
    ]
    return found


@pytest.fixture
def logged_in_page(stack: Stack, page: Page) -> Page:
    page.goto(stack.url("AIRFLOW"))
    log_in_to_airflow(stack, page)
    return page


def test_the_run_succeeded_with_every_task(
    stack: Stack, logged_in_page: Page, run: dict[str, Any], screenshot: Screenshot
) -> None:
    page = logged_in_page
    page.set_viewport_size({"width": 1600, "height": 1500})
    page.goto(f"{stack.url('AIRFLOW')}/dags/elt_pipeline/runs/{run['dag_run_id']}")
    header = page.get_by_role("heading", name=run["dag_run_id"])
    expect(header).to_be_visible()
    page.get_by_role("button", name="Expand all task groups").click()
    tasks = {model.stem for model in MODELS.rglob("*.sql")} | {"extract_load", "train", "publish"}
    for task in sorted(tasks):
        expect(page.get_by_role("link", name=task).first).to_be_visible()
    screenshot(page, "airflow-run")
    states = page.get_by_role("cell", name="Success", exact=True)
    expect(states).to_have_count(page.get_by_role("row").count() - 1)


def test_the_graph_and_each_model_are_documented(
    stack: Stack, logged_in_page: Page, screenshot: Screenshot
) -> None:
    page = logged_in_page
    page.goto(f"{stack.url('AIRFLOW')}/dags/elt_pipeline")
    page.get_by_role("button", name="Dag Docs").click()
    expect(
        page.get_by_role("dialog").get_by_role("heading", name="From the application's database")
    ).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Expand all task groups").click()
    page.get_by_role("button", name="Show Graph").click()
    expect(page.locator(".react-flow__node").filter(has_text="user_item_matrix").first).to_be_visible()
    screenshot(page, "airflow-graph")

    described = yaml.safe_load((MODELS / "marts" / "user_item_matrix.yml").read_text())["models"][0][
        "description"
    ]
    page.goto(f"{stack.url('AIRFLOW')}/dags/elt_pipeline/tasks/dbt.user_item_matrix")
    page.get_by_role("button", name="Documentation").click()
    expect(page.get_by_role("dialog")).to_contain_text(described.strip())


def test_assets_show_tables_matrix_and_model(stack: Stack, logged_in_page: Page) -> None:
    page = logged_in_page
    page.goto(f"{stack.url('AIRFLOW')}/assets")
    tables = ("users", "movies", "ratings", "watched_movies")
    made = ("analytics.user_item_matrix", "registered model", "analytics.recommendations")
    for asset in (*(f"raw.{table}" for table in tables), *made):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=asset, exact=True))
        # The time of its last update.
        expect(row).to_contain_text(":")
