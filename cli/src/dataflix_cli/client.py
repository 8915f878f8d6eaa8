"""HTTP client of the API; every failure becomes a CliError with a hint."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

import requests

from dataflix_cli.errors import CliError, InputError, NotFoundError, RefusedError, UnreachableError
from dataflix_cli.settings import KEY, URL, Connection
from dataflix_cli.source import OUR_TABLES, Source

# Connecting takes milliseconds; an answer may have to count millions of ratings.
TIMEOUTS_S = (3.05, 30)

_UNAUTHORIZED = frozenset({401, 403})
# The API is down or too busy; a retry may work.
_UNAVAILABLE = frozenset({429, 502, 503, 504})
_NOT_FOUND = 404
_CLIENT_ERRORS = range(400, 500)

_HINTS = {
    "urn:dataflix:problem:unknown-genre": "dataflix genres lists all genres.",
    "urn:dataflix:problem:unknown-user": "dataflix users list shows all {people}.",
    "urn:dataflix:problem:unknown-movie": "dataflix movies list TEXT finds {items}.",
    "urn:dataflix:problem:unknown-rule": "dataflix rules list --all shows every rule.",
    "urn:dataflix:problem:unknown-block": "dataflix block list USER shows the blocked {items}.",
}


def path_of(*segments: object) -> str:
    """Return the path of a resource; an id may have any characters."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


class Api:
    """One HTTP session with the API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session = requests.Session()
        # No proxy and no .netrc: the address and the key are exactly those of the connection.
        self._session.trust_env = False
        self._session.headers["X-API-Key"] = connection.key

    @property
    def url(self) -> str:
        """The API's address."""
        return self._connection.url

    @cached_property
    def source(self) -> Source:
        """What the API answers from; asked once.

        Raises:
            CliError: the API does not answer, or answers with an error.
        """
        try:
            return Source.from_answer(self.get("/source"))
        except (NotFoundError, RefusedError):
            # An API of an earlier version, or a key that may only write.
            return OUR_TABLES

    def get(self, path: str, **parameters: object) -> Any:
        """Return the JSON at ``path``; parameters that are None are left out.

        Raises:
            CliError: the API does not answer, or answers with an error.
        """
        return self._request("GET", path, parameters=parameters)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Send ``body`` and return the answer's JSON.

        Raises:
            CliError: the API does not answer, or answers with an error.
        """
        return self._request("POST", path, body=body)

    def delete(self, path: str) -> Any:
        """Delete the resource at ``path`` and return the answer's JSON, if it has any.

        Raises:
            CliError: the API does not answer, or answers with an error.
        """
        return self._request("DELETE", path)

    def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        query = {name: str(value) for name, value in (parameters or {}).items() if value is not None}
        for value in (*query.values(), *(body or {}).values()):
            _require_utf_8(value)
        try:
            answer = self._session.request(
                method, self.url + path, params=query, json=body, timeout=TIMEOUTS_S, allow_redirects=False
            )
            if answer.status_code == requests.codes.no_content:
                return None
            content = answer.json()
        except requests.JSONDecodeError as error:
            raise self._not_our_api() from error
        except requests.ConnectionError as error:
            raise UnreachableError(
                f"The API does not answer at {self.url}.",
                f"Start it with ./run.sh, or give its address with --api-url or {URL}.",
            ) from error
        except requests.Timeout as error:
            raise UnreachableError(
                f"The API at {self.url} took too long.", "Try again; ./run.sh status shows its health."
            ) from error
        except requests.RequestException as error:
            raise InputError(
                f"The request to {self.url} failed: {error}.", f"Check {URL} or --api-url."
            ) from error
        if answer.ok:
            if not isinstance(content, dict):
                raise self._not_our_api()
            return content
        raise self._error(answer.status_code, content)

    def _error(self, status: int, content: object) -> CliError:
        if not isinstance(content, dict) or "detail" not in content:
            return self._not_our_api()
        detail = str(content["detail"])
        hint = _HINTS.get(str(content.get("type", "")), "")
        if "{" in hint:
            hint = hint.format(items=self.source.items, people=self.source.people)
        if status in _UNAUTHORIZED:
            return RefusedError(detail, f"The key comes from {KEY}; ./run.sh writes it to .env.")
        if status == _NOT_FOUND:
            return NotFoundError(detail, hint)
        if status in _UNAVAILABLE:
            return UnreachableError(detail, "Try again in a moment; ./run.sh status shows every service.")
        if status in _CLIENT_ERRORS:
            return InputError(detail, hint)
        return CliError(detail, f"In the API's log this is request {content.get('request_id')}.")

    def _not_our_api(self) -> CliError:
        return CliError(f"The server at {self.url} is not the Dataflix API.", f"Check {URL} or --api-url.")


def _require_utf_8(value: object) -> None:
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{value} is not UTF-8.", "Type it again, or set the terminal to UTF-8.") from error
