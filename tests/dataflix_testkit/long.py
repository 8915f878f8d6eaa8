"""The short form of a test runs always, the long one by `./test.sh --long`, which sets DATAFLIX_LONG=1."""

import os

LONG = os.environ.get("DATAFLIX_LONG") == "1"


def times(short: int, long: int) -> int:
    """Return how often to try: `long` times in the long form, else `short` times."""
    return long if LONG else short
