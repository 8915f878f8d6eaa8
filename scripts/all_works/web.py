"""HTTP as the checks speak it."""

from typing import Any

import requests

from all_works.check import CheckError

# Long enough for a dashboard's query on a busy machine.
_TIMEOUT_S = 30.0


def session(headers: dict[str, str] | None = None) -> requests.Session:
    """Return a session that no proxy of the environment gets between."""
    new = requests.Session()
    new.trust_env = False
    new.headers.update(headers or {})
    return new


def ask(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Return an answer of status 2xx.

    Raises:
        CheckError: another status; the message has the beginning of the answer.
        requests.RequestException: no answer.
    """
    answer = http.request(method, url, timeout=_TIMEOUT_S, **options)
    if not answer.ok:
        raise CheckError(f"{method} {url} answers {answer.status_code}: {answer.text[:200]}")
    return answer
