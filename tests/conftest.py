"""The running stack that the end-to-end tests share.

One stack runs all tests: with the data set in MOVIELENS_DIR, or with the sample if that is not set. In the
long mode there is one with each: that with the sample runs all tests, the other those with
`@pytest.mark.also_on_movielens`. Two more, on the databases of `examples/`, run the tests with
`@pytest.mark.your_own_database`.
"""

import os
import time
from collections.abc import Iterator

import pytest

from dataflix_testkit.application import application
from dataflix_testkit.long_mode import LONG_MODE
from dataflix_testkit.stack import Stack, fresh_stack

# For a very busy machine; below the limit of pytest (--timeout 1800), so that the error shows the output.
START_TIMEOUT_S = 1700
EXAMPLES = ("dvdrental", "shop")
# The user whose recommendations `./run.sh` prints at the end.
FIRST_USER = 1


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "also_on_movielens: in the long mode, run on MOVIELENS_DIR's data too")
    config.addinivalue_line("markers", "your_own_database: run on the databases of examples/")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stack" not in metafunc.fixturenames:
        return
    # Session scope makes pytest group the tests by data set, so that only one stack runs at a time.
    metafunc.parametrize("stack", data_sets_of(metafunc.definition), indirect=True, scope="session")


def data_sets_of(test: pytest.Item) -> list[str]:
    """Return the data sets that a test runs on. Each costs a stack and minutes of two cores."""
    if test.get_closest_marker("your_own_database"):
        return list(EXAMPLES) if LONG_MODE else []
    if not LONG_MODE:
        return ["movielens" if os.environ.get("MOVIELENS_DIR") else "sample"]
    return ["sample", "movielens"] if test.get_closest_marker("also_on_movielens") else ["sample"]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    if request.param in EXAMPLES:
        with application(request.param) as other, fresh_stack() as fresh:
            fresh.application = other
            yield fresh
        return
    words = ["run.sh"]
    if request.param == "movielens":
        folder = os.environ.get("MOVIELENS_DIR")
        if not folder:
            pytest.skip("MOVIELENS_DIR is not set to a MovieLens folder")
        words += ["--data", folder]
    with fresh_stack() as fresh:
        began = time.monotonic()
        result = fresh.command(*words, timeout=START_TIMEOUT_S)
        print(f"run.sh: {time.monotonic() - began:.0f} s\n{result.stderr}{result.stdout}")
        assert result.returncode == 0, result.stderr
        assert f"Top recommendations for user {FIRST_USER}" in result.stdout
        fresh.read_settings()
        fresh.data = request.param
        yield fresh
