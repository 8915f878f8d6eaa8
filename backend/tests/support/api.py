"""A client that checks every answer against the OpenAPI document."""

import itertools
from dataclasses import dataclass
from typing import Any

import orjson
from flask.testing import FlaskClient

from .contract import Contract

API_KEY = "test-key-0123456789abcdef"

_numbers = itertools.count()


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def problem(self, status: int) -> dict[str, Any]:
        """Return the problem; fails unless it is complete, with that status and the request's id."""
        assert self.status == status, self.body
        assert self.headers["Content-Type"] == "application/problem+json"
        problem: dict[str, Any] = self.json
        assert problem["status"] == status
        assert problem["request_id"] == self.headers["X-Request-ID"]
        return problem


class ApiClient:
    """Sends requests with the API key."""

    def __init__(self, client: FlaskClient, contract: Contract) -> None:
        self._client = client
        self.contract = contract

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = API_KEY,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        sent = dict(headers or {})
        if key is not None:
            sent["X-API-Key"] = key
        response = self._client.open(path, method=method, headers=sent, **options)
        self.contract.check(
            method, path, response.status_code, response.headers.get("Content-Type", ""), response.data
        )
        return Answer(response.status_code, response.headers, response.data)

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any, **options: Any) -> Answer:
        return self.request("POST", path, json=json, **options)

    def new_user(self) -> int:
        """Create a new user and return its id."""
        name = f"person{next(_numbers)}"
        answer = self.post("/users", {"username": name, "email": f"{name}@example.org"})
        assert answer.status == 201
        user_id: int = answer.json["user_id"]
        return user_id

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)
