"""This machine's own Chromium, and pages in it that notice what a person at the screen might not."""

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

# Root can't use the sandbox; the rest keeps the browser from asking its maker for anything.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# A page of a machine that is busy with other things; what is there is seen at once.
TIMEOUT_MS = 60_000

Picture = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program's path. Without one the tests are skipped, unless DATAFLIX_BROWSER or CI says otherwise."""
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
    """A page in a browser without a past: its scripts may not fail, and it may ask this machine alone."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(TIMEOUT_MS)
    failures: list[str] = []

    def keep_inside(route: Route) -> None:
        if _is_here(route.request):
            route.continue_()
        else:
            failures.append(f"asked for {route.request.url}")
            route.abort()

    def look(response: Response) -> None:
        if response.status >= 500:
            failures.append(f"{response.status} of {response.url}")

    context.route("**/*", keep_inside)
    opened = context.new_page()
    opened.on("response", look)
    opened.on("pageerror", lambda error: failures.append(f"script: {error}"))
    yield opened
    context.close()
    assert failures == []


def _is_here(request: Request) -> bool:
    return urlsplit(request.url).hostname in {"127.0.0.1", None}


@pytest.fixture
def picture(stack: Stack) -> Picture:
    """Write what a page shows to the folder that DATAFLIX_SCREENSHOTS names, if it does."""
    folder = os.environ.get("DATAFLIX_SCREENSHOTS")

    def write(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder, f"{stack.data}-{name}.png"))

    return write
