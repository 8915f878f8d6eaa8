"""What a route takes and answers, declared once: it validates requests and writes the OpenAPI document."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, g, request
from pydantic import BaseModel

from dataflix_backend.api_key import ApiKey, Scope
from dataflix_backend.exceptions import ForbiddenError
from dataflix_backend.schemas.common import NoQuery
from dataflix_backend.web import request_data, source_ids

NO_BODY = "no body"

_ATTRIBUTE = "dataflix_operation"
_JSON_OPTIONS = orjson.OPT_UTC_Z


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    Attributes:
        summary: one line for the document.
        tag: the document's section.
        answers: for each status the typed dictionary of its JSON body, a media type for other bodies, or
            NO_BODY.
        query: the model of the query string; None ignores all parameters.
        body: the model of the JSON body.
        problems: error statuses on top of those that every such route may answer.
        scope: what a key must have. A route that names none is for administrators.
        public: whether the route needs no key.
        database: whether the route needs Postgres.
        description: more text for the document.
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


def require_acts_for(key: ApiKey | None, user_ids: Iterable[int | None]) -> None:
    """Refuse a key that does not act for each of the users.

    Raises:
        ForbiddenError: the key is bound to another user, or to none.
    """
    if key is None or not all(key.acts_for(user_id) for user_id in user_ids):
        raise ForbiddenError(
            "This key is not bound to that user and has no admin scope.",
            kind="another-user",
        )


def operation(described: Operation) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Wrap a view: path segments arrive as our numbers, ``query`` and ``body`` as validated models."""

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def call(**segments: str) -> Response:
            values: dict[str, Any] = {name: request_data.path_id(name) for name in segments}
            if described.query:
                query = request_data.query_string(described.query, request.args)
                if described.query is not NoQuery:
                    values["query"] = query
            if described.body:
                body = values["body"] = request_data.body(described.body)
                # Models of bodies that name users have a method ``users``.
                if (users := getattr(body, "users", None)) is not None:
                    require_acts_for(g.get("key"), users())
            return view(**values)

        setattr(call, _ATTRIBUTE, described)
        return call

    return decorate


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """Return the description of a view function, None for a view without one."""
    found: Operation | None = getattr(view, _ATTRIBUTE, None)
    return found


def answer(payload: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``payload`` as JSON, with the caller's ids; times are in UTC and end in Z."""
    content = orjson.dumps(source_ids.answer_values(payload), option=_JSON_OPTIONS)
    response = Response(content, status, content_type="application/json")
    if headers:
        response.headers.update(headers)
    return response
