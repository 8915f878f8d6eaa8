"""The short form of a test runs always, the long one by `./test.sh --long`, which sets DATAFLIX_LONG=1."""

import os

LONG_MODE = os.environ.get("DATAFLIX_LONG") == "1"


def short_or_long(short: int, long: int) -> int:
    """Return how often to try: `long` with --long, else `short`."""
    return long if LONG_MODE else short
