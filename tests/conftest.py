"""The running stack that these tests share, once with the sample and once with MovieLens data."""

import os
import time
from collections.abc import Iterator

import pytest

from dataflix_testkit.stack import Stack, fresh_stack

# For whom the command shows recommendations when it is done.
FIRST_USER = 1


@pytest.fixture(scope="session", params=["sample", "movielens"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    words = ["run.sh"]
    if request.param == "movielens":
        folder = os.environ.get("MOVIELENS_DIR")
        if not folder:
            pytest.skip("MOVIELENS_DIR names no MovieLens folder")
        words += ["--data", folder]
    with fresh_stack() as fresh:
        began = time.monotonic()
        result = fresh.command(*words)
        print(f"run.sh: {time.monotonic() - began:.0f} s\n{result.stderr}{result.stdout}")
        assert result.returncode == 0, result.stderr
        assert f"Top recommendations for user {FIRST_USER}" in result.stdout
        fresh.read_settings()
        fresh.data = request.param
        yield fresh
