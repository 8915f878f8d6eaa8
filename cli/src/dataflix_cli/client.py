"""Talks to the API; every failure becomes an error with a way out."""

from collections.abc import Mapping
from typing import Any

import requests

from dataflix_cli.errors import CliError, InputError, NotFoundError, RefusedError, UnreachableError
from dataflix_cli.settings import KEY, URL, Connection

# A server that does not take the connection in this time is away; an answer may count millions of ratings.
TIMEOUTS_S = (3.05, 30)

_UNAUTHORISED = frozenset({401, 403})
# Away or too busy: the same question may be answered in a moment.
_AWAY = frozenset({429, 502, 503, 504})
_NOT_FOUND = 404
_CLIENT_ERRORS = range(400, 500)


class Api:
    """One session with the API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session = requests.Session()
        # Neither a proxy nor a .netrc may come between: the address and the key are what was told.
        self._session.trust_env = False
        self._session.headers["X-API-Key"] = connection.key

    @property
    def url(self) -> str:
        """The API's address."""
        return self._connection.url

    def get(self, path: str, **parameters: object) -> Any:
        """Return the JSON at ``path``; parameters that are None are left out. Raises CliError."""
        return self._request("GET", path, parameters=parameters)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Send ``body`` and return the answer's JSON. Raises CliError."""
        return self._request("POST", path, body=body)

    def delete(self, path: str) -> Any:
        """Delete what lies at ``path`` and return the answer's JSON, if it has any. Raises CliError."""
        return self._request("DELETE", path)

    def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        given = {name: str(value) for name, value in (parameters or {}).items() if value is not None}
        try:
            answer = self._session.request(
                method, self.url + path, params=given, json=body, timeout=TIMEOUTS_S, allow_redirects=False
            )
            if answer.status_code == requests.codes.no_content:
                return None
            content = answer.json()
        except requests.JSONDecodeError as error:
            raise self._foreign() from error
        except requests.ConnectionError as error:
            raise UnreachableError(
                f"The API does not answer at {self.url}.",
                f"Start it with ./run.sh, or tell its address with --api-url or {URL}.",
            ) from error
        except requests.Timeout as error:
            raise UnreachableError(
                f"The API at {self.url} took too long.", "Try again; ./run.sh status shows its health."
            ) from error
        except requests.RequestException as error:
            raise InputError(f"{self.url} cannot be asked: {error}.", f"Check {URL} or --api-url.") from error
        if answer.ok:
            return content
        raise self._problem(answer.status_code, content)

    def _problem(self, status: int, content: object) -> CliError:
        if not isinstance(content, dict) or "detail" not in content:
            return self._foreign()
        detail = str(content["detail"])
        if status in _UNAUTHORISED:
            return RefusedError(detail, f"The key comes from {KEY}; ./run.sh writes it to .env.")
        if status == _NOT_FOUND:
            return NotFoundError(detail, _WAYS_OUT.get(str(content.get("type", "")), ""))
        if status in _AWAY:
            return UnreachableError(detail, "Try again in a moment; ./run.sh status shows every service.")
        if status in _CLIENT_ERRORS:
            return InputError(detail)
        return CliError(detail, f"The API's log knows it as request {content.get('request_id')}.")

    def _foreign(self) -> CliError:
        return CliError(f"What answers at {self.url} is not the Dataflix API.", f"Check {URL} or --api-url.")


_WAYS_OUT = {
    "urn:dataflix:problem:unknown-user": "dataflix users list shows who there is.",
    "urn:dataflix:problem:unknown-movie": "dataflix movies list TEXT finds films.",
    "urn:dataflix:problem:unknown-rule": "dataflix rules list --all shows every rule.",
    "urn:dataflix:problem:unknown-block": "dataflix block list USER shows what is blocked.",
}
