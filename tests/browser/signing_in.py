"""Signing in as a person does, on pages that ask for it."""

from playwright.sync_api import Page

from dataflix_testkit.stack import Stack


def sign_in_to_airflow(stack: Stack, page: Page) -> None:
    """Fill in the form that any of Airflow's pages shows first, and wait until that page is there."""
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(stack.settings["DATAFLIX_AIRFLOW_ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth/login" not in url)


def sign_in_to_superset(stack: Stack, page: Page) -> None:
    """Sign in, and wait for the page that comes then."""
    page.goto(stack.url("SUPERSET") + "/login/")
    page.locator("#username").fill("admin")
    page.locator("#password").fill(stack.settings["DATAFLIX_SUPERSET_ADMIN_PASSWORD"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome/**")
