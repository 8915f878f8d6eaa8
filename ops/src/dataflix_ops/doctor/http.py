"""HTTP as the checks speak it."""

from typing import Any

import requests

from dataflix_ops.doctor.check import CheckError

# Long enough for a dashboard's query on a busy machine.
_TIMEOUT_S = 30.0


def session(headers: dict[str, str] | None = None) -> requests.Session:
    """Return a session that no proxy of the environment gets between."""
    new = requests.Session()
    new.trust_env = False
    new.headers.update(headers or {})
    return new


def answer(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Return an answer of whatever status.

    Raises:
        CheckError: nobody answers, or not in time.
    """
    try:
        return http.request(method, url, timeout=_TIMEOUT_S, **options)
    except requests.Timeout as error:
        raise CheckError(f"{url} does not answer in {_TIMEOUT_S:.0f} s") from error
    except requests.ConnectionError as error:
        raise CheckError(f"{url} does not answer") from error


def ask(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Return an answer of status 2xx.

    Raises:
        CheckError: no answer, or another status; the message has the beginning of what was said.
    """
    answered = answer(http, method, url, **options)
    if not answered.ok:
        raise CheckError(f"{method} {url} answers {answered.status_code}: {answered.text[:200]}")
    return answered
