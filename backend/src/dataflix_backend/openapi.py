"""The OpenAPI 3.1 document, made from the descriptions and models that validate the requests."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import orjson
from flask import Flask
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from dataflix_backend.auth import HEADER
from dataflix_backend.errors import MEDIA_TYPE
from dataflix_backend.operation import NO_BODY, Operation, operation_of
from dataflix_backend.schemas.fields import MAX_ID
from dataflix_backend.schemas.problem import Problem

EXTENSION = "dataflix-openapi"
_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Users, films, ratings, and recommendations that follow from the ratings of this moment. "
    "Errors are application/problem+json (RFC 9457)."
)
_API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": HEADER,
    "description": "Each route names the scope its key needs: read, write or admin, which includes both. "
    "Routes of one user, by path or by body, want the key bound to that user, or an administrator's.",
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
    """Render the document once, for the view that answers it."""
    app.extensions[EXTENSION] = orjson.dumps(document(app))


def _described(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method.lower(), operation


def _schemas(operations: Iterator[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return a reference per model or typed dictionary, and the schemas they refer to."""
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
        # A parameter that is left out is not null: null has no form in a query string.
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        # Nor has an empty list one.
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
    """Return the content of every status that the operation may answer."""
    statuses = {*operation.problems, 500}
    if operation.query or operation.body:
        statuses.add(400)
    if not operation.public:
        # 503 also without Postgres' help: a key that was never seen cannot be checked without it.
        statuses |= {401, 403, 429, 503}
    if rule.arguments:
        statuses.add(404)
    if operation.body:
        statuses |= {413, 415, 422}
    if operation.database:
        statuses.add(503)
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
