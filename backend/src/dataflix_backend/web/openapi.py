"""The OpenAPI 3.1 document, made from the operations and models that validate the requests."""

import re
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import orjson
from flask import Flask
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from dataflix_backend import exceptions
from dataflix_backend.schemas.fields import MAX_ID
from dataflix_backend.schemas.problem import Problem
from dataflix_backend.source import OUR_TABLES, Source
from dataflix_backend.web.errors import API_KEY_HEADER, BODY_TOO_LARGE, INTERNAL, status_of
from dataflix_backend.web.operation import NO_BODY, Operation, operation_of
from dataflix_backend.web.source_ids import ONE, SEVERAL
from dataflix_common.problem import MEDIA_TYPE

EXTENSION = "dataflix-openapi"
_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Users, movies, ratings, and recommendations made from current ratings. "
    "Errors are application/problem+json (RFC 9457)."
)
_API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": API_KEY_HEADER,
    "description": "Each route names the scope that its key needs: read, write, or admin, which opens all. "
    "A route that names a user in its path or body needs the key of that user, or an admin key.",
}


def document(app: Flask) -> dict[str, Any]:
    """Return the document of every described route of ``app``."""
    described = list(_described(app))
    references, schemas = _schemas(operation for _, _, operation in described)
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in described:
        path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method] = _operation(rule, operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dataflix", "version": version("dataflix-backend"), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"apiKey": ["admin"]}],
        "paths": paths,
        "components": {
            "securitySchemes": {"apiKey": _API_KEY},
            "schemas": schemas,
        },
    }


def prepare(app: Flask) -> None:
    """Render the document, for GET /openapi.json."""
    app.extensions[EXTENSION] = {OUR_TABLES: orjson.dumps(document(app))}


def rendered(app: Flask, source: Source) -> bytes:
    """Return the document as callers of this source see it."""
    # The moment of the copy changes all the time, and is not in the document.
    wanted = replace(source, copied_at=None)
    known: dict[Source, bytes] = app.extensions[EXTENSION]
    found = known.get(wanted)
    if found is None:
        found = orjson.dumps(of_source(orjson.loads(known[OUR_TABLES]), wanted))
        # One more than our own: a source that was replaced is not asked for again.
        app.extensions[EXTENSION] = {OUR_TABLES: known[OUR_TABLES], wanted: found}
    return found


def of_source(described: Any, source: Source) -> Any:
    """Return a document, or a part of it, with the ids and the words of a copy."""
    if isinstance(described, list):
        return [of_source(part, source) for part in described]
    if not isinstance(described, dict):
        return described
    if described.get("in") in ("path", "query") and described["name"] in ONE:
        return described | {"schema": source.ids_of(ONE[described["name"]]).json_schema}
    return {name: _member_of_source(name, member, source) for name, member in described.items()}


def _member_of_source(name: str, member: Any, source: Source) -> Any:
    if name in ("description", "summary") and isinstance(member, str):
        return source.words.said(member)
    if name == "properties" and isinstance(member, dict):
        return {field: _field_of_source(field, schema, source) for field, schema in member.items()}
    return of_source(member, source)


def _field_of_source(field: str, schema: dict[str, Any], source: Source) -> Any:
    changed = of_source(schema, source)
    if field in ONE:
        return _with_schema(changed, source.ids_of(ONE[field]).json_schema)
    if field in SEVERAL and changed.get("items", {}).get("type") == "integer":
        return changed | {"items": source.ids_of(SEVERAL[field]).json_schema}
    return changed


def _with_schema(schema: dict[str, Any], of_id: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field with that of an id in place of a whole number."""
    if "anyOf" in schema:
        parts = [of_id if part.get("type") == "integer" else part for part in schema["anyOf"]]
        return schema | {"anyOf": parts}
    kept = {name: value for name, value in schema.items() if name not in ("type", "minimum", "maximum")}
    return kept | of_id


def _described(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method.lower(), operation


def _schemas(operations: Iterator[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return a reference for each model or typed dictionary, and the schemas that they refer to."""
    kinds: dict[Any, str] = {Problem: "serialization"}
    for operation in operations:
        kinds |= {
            shape: "serialization" for shape in operation.answers.values() if not isinstance(shape, str)
        }
        if operation.body:
            kinds[operation.body] = "validation"
    inputs = [(shape, kind, TypeAdapter(shape)) for shape, kind in kinds.items()]
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)  # type: ignore[arg-type]
    references = {shape: found[(shape, kind)] for shape, kind in kinds.items()}  # type: ignore[index]
    return references, definitions["$defs"]


def _operation(rule: Rule, operation: Operation, references: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(rule), *_query_parameters(operation.query)],
        "responses": {
            str(status): _response(status, content)
            for status, content in sorted(_responses(rule, operation, references).items())
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.public:
        described["security"] = []
    else:
        described["security"] = [{"apiKey": [operation.scope]}]
    if operation.body:
        content = {"application/json": {"schema": references[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"<(\w+)>", rule.rule)
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    properties: dict[str, dict[str, Any]] = model.model_json_schema().get("properties", {})
    parameters = []
    for name, schema in properties.items():
        description = schema.pop("description", "")
        # A query string cannot hold null: an optional parameter is left out.
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        # It cannot hold an empty list either.
        rules = {key: value for key, value in schema.items() if value not in (None, []) and key != "title"}
        for kind in kinds:
            rules |= kind
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": description, "schema": rules}
        )
    return parameters


def _responses(
    rule: Rule, operation: Operation, references: dict[Any, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Return the content of every status that the operation may answer with."""
    errors: set[type[exceptions.BackendError]] = set()
    if operation.query or operation.body:
        errors |= {exceptions.InvalidParameterError, exceptions.NotJsonError}
    if not operation.public:
        # Unavailable also where the route needs no Postgres: a new key cannot be checked without it.
        errors |= {exceptions.UnauthenticatedError, exceptions.ForbiddenError}
        errors |= {exceptions.RateLimitedError, exceptions.UnavailableError}
    if rule.arguments:
        errors.add(exceptions.NotFoundError)
    if operation.body:
        errors |= {exceptions.UnsupportedMediaTypeError, exceptions.InvalidInputError}
    if operation.database:
        errors.add(exceptions.UnavailableError)
    statuses: set[int] = {*operation.problems, INTERNAL, *map(status_of, errors)}
    if operation.body:
        statuses.add(BODY_TOO_LARGE)
    responses = {status: {MEDIA_TYPE: {"schema": references[Problem]}} for status in statuses}
    for status, shape in operation.answers.items():
        if isinstance(shape, str):
            responses[status] = {} if shape == NO_BODY else {shape: {"schema": {"type": "string"}}}
        else:
            responses[status] = {"application/json": {"schema": references[shape]}}
    return responses


def _response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if content:
        response["content"] = content
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response
