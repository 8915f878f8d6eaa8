"""HTTP requests of the checks."""

from typing import Any

import requests

from dataflix_ops.doctor.check import CheckError

# Long enough for the query of a dashboard on a busy machine.
_TIMEOUT_S = 30.0


def new_session(headers: dict[str, str] | None = None) -> requests.Session:
    """Return a session that ignores the proxies of the environment."""
    new = requests.Session()
    new.trust_env = False
    new.headers.update(headers or {})
    return new


def request(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Return the response, whatever its status.

    Raises:
        CheckError: there is no response, or not in time.
    """
    try:
        return http.request(method, url, timeout=_TIMEOUT_S, **options)
    except requests.Timeout as error:
        raise CheckError(f"{url} does not answer in {_TIMEOUT_S:.0f} s") from error
    except requests.ConnectionError as error:
        raise CheckError(f"{url} does not answer") from error


def request_ok(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Return the response; its status is 2xx.

    Raises:
        CheckError: there is no response, or it has another status; the message holds the start of its body.
    """
    response = request(http, method, url, **options)
    if not response.ok:
        raise CheckError(f"{method} {url} answers {response.status_code}: {response.text[:200]}")
    return response
