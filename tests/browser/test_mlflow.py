"""MLflow's pages of the champion model."""

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from dataflix_testkit.stack import Stack

from .conftest import Screenshot
from .login import log_in_to_airflow

pytestmark = pytest.mark.also_on_movielens


def test_the_model_page_shows_description_and_champion(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url('MLFLOW')}/#/models/{stack.settings['DATAFLIX_MODEL_NAME']}")
    expect(page.get_by_text("item factors of implicit ALS")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Version 1")).to_contain_text("champion")


def test_a_version_shows_description_tags_signature_and_links_to_its_run(
    stack: Stack, page: Page, screenshot: Screenshot
) -> None:
    page.set_viewport_size({"width": 1600, "height": 1300})
    open_version(stack, page)
    run_id = stack.airflow("dags/elt_pipeline/dagRuns?order_by=run_after&limit=1")["dag_runs"][0][
        "dag_run_id"
    ]
    expect(page.get_by_text(re.compile(r"Implicit ALS, \d+ factors, on [\d,]+ interactions"))).to_be_visible()
    for tag, value in (("airflow_run_id", run_id), ("promotion", "accepted")):
        expect(page.get_by_role("row").filter(has_text=tag).filter(has_text=value).first).to_be_attached()
    page.get_by_text("Inputs (2)").click()
    page.get_by_text("Outputs (2)").click()
    for name in ("movie_ids", "ratings", "scores"):
        expect(page.get_by_role("row").filter(has_text=f"{name} (required)").first).to_contain_text("Array(")
    expect(page.get_by_role("link", name="model", exact=True)).to_be_visible()
    screenshot(page, "mlflow-model")

    address = page.get_by_role("link", name=run_id).get_attribute("href")
    assert address is not None
    page.goto(address)
    log_in_to_airflow(stack, page)
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()


def test_the_run_of_a_version_shows_its_metrics(stack: Stack, page: Page) -> None:
    name = stack.settings["DATAFLIX_MODEL_NAME"]
    rest = stack.url("MLFLOW") + "/api/2.0/mlflow/"
    version = requests.get(
        rest + "model-versions/get", params={"name": name, "version": "1"}, timeout=30
    ).json()["model_version"]
    run = requests.get(rest + "runs/get", params={"run_id": version["run_id"]}, timeout=30).json()["run"]
    measured = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}

    open_version(stack, page)
    page.get_by_role("link", name=run["info"]["run_name"]).click()
    for metric in ("ndcg_at_10", "popularity_ndcg_at_10"):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=metric, exact=True))
        expect(row.first).to_contain_text(f"{measured[metric]:.6f}"[:-1])


def open_version(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url('MLFLOW')}/#/models/{stack.settings['DATAFLIX_MODEL_NAME']}/versions/1")
    # MLflow opens a panel that covers a third of the page.
    page.get_by_role("button", name="Close", exact=True).click()
