"""The short and the long mode of tests. `./test.sh --long` sets DATAFLIX_LONG=1 for the long mode."""

import os

import pytest

LONG_MODE = os.environ.get("DATAFLIX_LONG") == "1"

only_long = pytest.mark.skipif(
    not LONG_MODE, reason="repeats what another case covers; runs with ./test.sh --long"
)


def short_or_long(short: int, long: int) -> int:
    """Return `long` in the long mode, else `short`: a number of repetitions, or a timeout."""
    return long if LONG_MODE else short
