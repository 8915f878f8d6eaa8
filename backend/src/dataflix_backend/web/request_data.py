"""Validated values from path, query string and body, or an error that names the input."""

import json
from collections.abc import Iterator
from typing import TypeVar

import orjson
from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from dataflix_backend.exceptions import (
    BackendError,
    InvalidInputError,
    InvalidParameterError,
    NotJsonError,
    UnsupportedMediaTypeError,
)
from dataflix_backend.schemas.fields import JSON_BODY, MAX_ID
from dataflix_backend.web import source_ids

# Enough of a refused value to recognise it.
_SHOWN_VALUE_LENGTH = 60
# The first few help a client that sends thousands of wrong fields.
_SHOWN_ERRORS = 20

Model = TypeVar("Model", bound=BaseModel)


def path_id(name: str) -> int:
    """Return the id in a path segment: our number.

    Raises:
        UnknownIdError: the segment cannot be an id.
    """
    number = source_ids.path_number(name)
    if number is None or not 1 <= number <= MAX_ID:
        raise source_ids.unknown_path_id(name)
    return number


def query_string(model: type[Model], arguments: MultiDict[str, str]) -> Model:
    """Validate the query string.

    Raises:
        InvalidParameterError: with each wrong parameter.
    """
    repeated = [name for name, values in arguments.lists() if len(values) > 1]
    if repeated:
        raise InvalidParameterError(f"The parameter {repeated[0]} is given more than once.")
    try:
        has_user_search = getattr(model, "HAS_USER_SEARCH", False)
        values = source_ids.query_values(arguments.to_dict(), has_user_search=has_user_search)
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal(InvalidParameterError, error, model) from error


def body(model: type[Model]) -> Model:
    """Validate the request's JSON body.

    Raises:
        UnsupportedMediaTypeError: the body is declared as something else.
        NotJsonError: the body is not JSON.
        InvalidInputError: with each wrong field.
        RequestEntityTooLarge: the body is larger than the limit.
    """
    if request.mimetype != "application/json":
        got = request.mimetype or "none"
        detail = f"The body must be JSON with Content-Type: application/json, not {got}."
        raise UnsupportedMediaTypeError(detail)
    raw = request.get_data(cache=False)
    # A body without a declared length is cut off at the limit, which may leave valid JSON.
    if request.max_content_length is not None and len(raw) >= request.max_content_length:
        raise RequestEntityTooLarge
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotJsonError(f"The body is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InvalidInputError("The body must be a JSON object.")
    try:
        return model.model_validate(source_ids.body_values(values), context=JSON_BODY)
    except ValidationError as error:
        raise _refusal(InvalidInputError, error, model) from error


def _refusal(kind: type[BackendError], error: ValidationError, model: type[BaseModel]) -> BackendError:
    errors = list(_messages(error, model))[:_SHOWN_ERRORS]
    return kind(" ".join(f"{entry['field']} {entry['message']}." for entry in errors), errors=errors)


def _messages(error: ValidationError, model: type[BaseModel]) -> Iterator[dict[str, str]]:
    for entry in error.errors(include_url=False):
        field = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "missing":
            message = "is required"
        elif entry["type"] == "extra_forbidden":
            message = f"is not known here; known are {', '.join(model.model_fields)}"
        elif not field:
            field, message = " and ".join(entry["ctx"]["fields"]), _with_ids(entry)
        else:
            message = source_ids.said(entry["msg"].removeprefix("Input "))
            message = f"{message}, not {_shown(entry['input'])}"
        yield {"field": field if field.isidentifier() else _shown(field), "message": message}


def _with_ids(entry: ErrorDetails) -> str:
    """Return the message of several fields; the movie in it is what the caller sent."""
    context = entry["ctx"]
    if "movie_id" not in context:
        return source_ids.said(entry["msg"])
    message = source_ids.said(str(context["message"]))
    return message.format(movie=source_ids.shown_movie(context["movie_id"]))


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_VALUE_LENGTH else text[:_SHOWN_VALUE_LENGTH] + "…"
