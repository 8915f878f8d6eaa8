"""A headless Chromium, and pages that record script errors, server errors and requests to other hosts."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route, expect, sync_playwright

from dataflix_testkit.process import ROOT
from dataflix_testkit.stack import Stack

NO_BROWSER = 77

# Root cannot use the sandbox. The other flags stop requests of the browser itself to the internet.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# For a busy machine. An element that is there is found at once.
TIMEOUT_MS = 60_000

Screenshot = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium. Without it, skip the tests; with DATAFLIX_BROWSER=required or CI, fail."""
    found = subprocess.run(
        [str(ROOT / "scripts" / "chromium.sh")], capture_output=True, text=True, check=False
    )
    if found.returncode == NO_BROWSER:
        if os.environ.get("DATAFLIX_BROWSER") == "required" or os.environ.get("CI"):
            pytest.fail(found.stderr.strip())
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a new browser context. No script may fail, and it may send requests only to this machine."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(TIMEOUT_MS)
    failures: list[str] = []

    def allow_only_this_machine(route: Route) -> None:
        if _is_this_machine(route.request):
            route.continue_()
        else:
            failures.append(f"request to {route.request.url}")
            route.abort()

    def record_server_error(response: Response) -> None:
        if response.status >= 500:
            failures.append(f"{response.status} of {response.url}")

    context.route("**/*", allow_only_this_machine)
    new_page = context.new_page()
    new_page.on("response", record_server_error)
    new_page.on("pageerror", lambda error: failures.append(f"script: {error}"))
    yield new_page
    context.close()
    assert failures == []


def _is_this_machine(request: Request) -> bool:
    return urlsplit(request.url).hostname in {"127.0.0.1", None}


@pytest.fixture
def screenshot(stack: Stack) -> Screenshot:
    """Save a screenshot of a page to the folder DATAFLIX_SCREENSHOTS, if that is set."""
    folder = os.environ.get("DATAFLIX_SCREENSHOTS")

    def write(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder, f"{stack.data}-{name}.png"))

    return write
