"""Checks the health of a service inside its container: `healthcheck.py URL [PART]`.

Exit code 0: the URL answers with 200 and, with PART, its JSON reports that part as healthy, as Airflow's
health page does. `$NAME` in the URL is a variable of the environment, because Docker does not expand the
arguments of a check. The images have neither curl nor wget.
"""

import json
import os
import sys
from urllib.request import urlopen

# Docker ends a check of our images after 5 s; the reason must be printed before that.
_TIMEOUT_S = 4


def main() -> None:
    """Send one request."""
    url, *part = map(os.path.expandvars, sys.argv[1:])
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  from the image's Dockerfile, always http://
            body = answer.read()
    except OSError as error:
        sys.exit(f"{url}: {error}")
    if part and json.loads(body).get(part[0], {}).get("status") != "healthy":
        sys.exit(f"{url}: {part[0]} is not healthy")


if __name__ == "__main__":
    main()
