"""The documentation page of the API, where users can try requests."""

import json

import pytest
from playwright.sync_api import Page, expect

from dataflix_testkit.stack import Stack

from .conftest import Screenshot

pytestmark = pytest.mark.also_on_movielens

USER = 1


def test_a_request_can_be_authorised_and_tried(stack: Stack, page: Page, screenshot: Screenshot) -> None:
    page.goto(stack.url("BACKEND") + "/docs")
    operation = page.locator(".opblock").filter(has_text="/recommendations/{user_id}").first
    operation.get_by_role("button").first.click()
    operation.locator("[data-param-name=user_id] input").fill(str(USER))
    execute = operation.get_by_role("button", name="Execute")
    status = operation.locator(".live-responses-table tbody .response-col_status")
    execute.click()
    expect(status).to_have_text("401")

    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".dialog-ux")
    dialog.get_by_role("textbox").fill(stack.settings["DATAFLIX_API_KEY"])
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").last.click()
    execute.click()
    expect(status).to_have_text("200")
    operation.scroll_into_view_if_needed()
    screenshot(page, "api-docs")
    shown = json.loads(operation.locator(".live-responses-table .highlight-code code").first.inner_text())
    assert shown["data"] == stack.api(f"/recommendations/{USER}?n=10")["data"]
