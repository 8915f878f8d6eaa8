"""What a route takes and answers, told once: it validates requests and writes the OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
from flask import Response, g, request
from pydantic import BaseModel

from dataflix_backend import parsing
from dataflix_backend.access.keys import Key, Scope
from dataflix_backend.errors import another_user
from dataflix_backend.schemas.common import NoQuery

NO_BODY = "no body"

_ATTRIBUTE = "dataflix_operation"
_JSON_OPTIONS = orjson.OPT_UTC_Z


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    ``answers`` maps a status to the typed dictionary of its JSON body, to a media type for other bodies, or
    to NO_BODY. ``query`` None ignores all parameters. ``problems`` are the statuses beyond those that every
    such route may answer. ``scope`` is what a key must have; what does not say so is the administrators'.
    ``public`` routes need no key; routes without ``database`` answer without Postgres.
    """

    summary: str
    tag: str
    answers: Mapping[int, Any]
    query: type[BaseModel] | None = NoQuery
    body: type[BaseModel] | None = None
    problems: Sequence[int] = ()
    scope: Scope = "admin"
    public: bool = False
    database: bool = True
    description: str = ""


def _check_owner(body: BaseModel) -> None:
    """Raise Problem (403) when the body names a user whom the key of this request does not act for.

    Bodies that name users have a method ``users``.
    """
    named = getattr(body, "users", None)
    key: Key | None = g.get("key")
    if named is not None and (key is None or not key.acts_for_all(named())):
        raise another_user()


def operation(described: Operation) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Wrap a view: path segments arrive as ids, ``query`` and ``body`` as validated models."""

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def call(**segments: str) -> Response:
            values: dict[str, Any] = {name: parsing.path_id(name, text) for name, text in segments.items()}
            if described.query:
                query = parsing.query_string(described.query, request.args)
                if described.query is not NoQuery:
                    values["query"] = query
            if described.body:
                values["body"] = parsing.body(described.body)
                _check_owner(values["body"])
            return view(**values)

        setattr(call, _ATTRIBUTE, described)
        return call

    return decorate


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """Return what a view function was described with, None for a view without description."""
    found: Operation | None = getattr(view, _ATTRIBUTE, None)
    return found


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``payload`` as JSON; times in UTC with a Z."""
    response = Response(orjson.dumps(payload, option=_JSON_OPTIONS), status, content_type="application/json")
    if headers:
        response.headers.update(headers)
    return response
