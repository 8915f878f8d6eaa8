"""Logs in to web pages with their forms."""

from playwright.sync_api import Page

from dataflix_testkit.stack import Stack


def log_in_to_airflow(stack: Stack, page: Page) -> None:
    """Fill in the login form that every page of Airflow shows first, and wait for the page."""
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(stack.settings["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth/login" not in url)


def log_in_to_superset(stack: Stack, page: Page) -> None:
    """Log in, and wait for the welcome page."""
    page.goto(stack.url("SUPERSET") + "/login/")
    page.locator("#username").fill("admin")
    page.locator("#password").fill(stack.settings["DATAFLIX_SUPERSET_ADMIN_PASSWORD"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome/**")
