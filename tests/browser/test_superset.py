"""Superset's dashboards in the browser."""

from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from dataflix_testkit.process import ROOT
from dataflix_testkit.stack import Stack

from .conftest import Screenshot
from .login import log_in_to_superset

pytestmark = pytest.mark.also_on_movielens

DASHBOARDS: dict[str, dict[str, Any]] = {
    dashboard["slug"]: dashboard
    for dashboard in (
        yaml.safe_load(file.read_text())
        for file in sorted((ROOT / "superset" / "assets" / "dashboards").glob("*.yaml"))
    )
}
# Superset draws only the charts inside the window.
WINDOW = {"width": 1600, "height": 2700}

DRAWN = "canvas, table, .superset-legacy-chart-big-number"
LOADING = ".loading, [data-test=loading-indicator]"


def chart_names(dashboard: dict[str, Any]) -> list[str]:
    """Return the titles of the charts on a dashboard."""
    places = [place for place in dashboard["position"].values() if isinstance(place, dict)]
    return [place["meta"]["sliceName"] for place in places if place["type"] == "CHART"]


# The first test waits for the set-up of Superset, which runs at the lowest priority.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("slug", sorted(DASHBOARDS))
def test_every_chart_is_drawn_without_errors(
    stack: Stack, page: Page, slug: str, screenshot: Screenshot
) -> None:
    stack.wait_for_superset()
    log_in_to_superset(stack, page)
    page.set_viewport_size(WINDOW)  # type: ignore[arg-type]
    page.goto(f"{stack.url('SUPERSET')}/superset/dashboard/{slug}/")
    names = chart_names(DASHBOARDS[slug])
    holders = page.locator(".dashboard-component-chart-holder")
    expect(holders).to_have_count(len(names))
    for name in names:
        chart = holders.filter(has=page.get_by_text(name, exact=True))
        expect(chart.locator(DRAWN).first).to_be_visible()
        expect(chart.locator(LOADING)).to_have_count(0)
    screenshot(page, slug)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("No results were returned")).to_have_count(0)
