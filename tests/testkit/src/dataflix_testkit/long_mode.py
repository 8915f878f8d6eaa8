"""The short and the long mode of tests. `./test.sh --long` sets DATAFLIX_LONG=1 for the long mode."""

import os

LONG_MODE = os.environ.get("DATAFLIX_LONG") == "1"


def short_or_long(short: int, long: int) -> int:
    """Return `long` in the long mode, else `short`: a number of repetitions, or a timeout."""
    return long if LONG_MODE else short
