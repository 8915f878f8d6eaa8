"""Health of a service from inside its container: `healthcheck.py URL [PART]`.

Exit 0 when the URL answers 200; with PART, when the JSON it answers calls that part healthy, as Airflow's
health page does. `$NAME` in the URL is taken from the environment: Docker does not expand a check's
arguments, and the images have neither curl nor wget.
"""

import json
import os
import sys
from urllib.request import urlopen

# Docker's own limit is 5 s in our images: the reason should be printed before that.
_TIMEOUT_S = 4


def main() -> None:
    """Ask once."""
    url, *part = map(os.path.expandvars, sys.argv[1:])
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  the image's own words, always http://
            body = answer.read()
    except OSError as error:
        sys.exit(f"{url}: {error}")
    if part and json.loads(body).get(part[0], {}).get("status") != "healthy":
        sys.exit(f"{url}: {part[0]} is not healthy")


if __name__ == "__main__":
    main()
