"""Checks answers against the OpenAPI document."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from jsonschema import Draft202012Validator


class Contract:
    """The document, with a validator for each status of each route."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._patterns = {path: re.compile(re.sub(r"\{\w+\}", "[^/]*", path)) for path in document["paths"]}
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Fail unless the answer is one that the document describes."""
        operation = self._operation(method, path)
        if operation is None:
            assert status in (404, 405), f"{method} {path} is not described and answers {status}"
            self._check_schema("Problem", orjson.loads(body))
            return
        assert str(status) in operation["responses"], f"{method} {path}: status {status} is not described"
        content = operation["responses"][str(status)].get("content")
        if content is None:
            assert body == b"", f"{method} {path}: {status} must have no body"
            return
        media_type = content_type.partition(";")[0]
        assert media_type in content, f"{method} {path}: {media_type} is not described"
        reference = content[media_type]["schema"].get("$ref")
        if reference:
            self._check_schema(reference.rpartition("/")[2], orjson.loads(body))

    def _operation(self, method: str, path: str) -> Any:
        # As in the server, an encoded slash separates segments.
        path = unquote(path.partition("?")[0])
        # The path with the fewest placeholders wins, so that a literal segment is not read as an id.
        for template in sorted(self._patterns, key=lambda known: known.count("{")):
            if self._patterns[template].fullmatch(path):
                found = self.document["paths"][template].get(method.lower())
                if found is not None:
                    return found
        return None

    def _check_schema(self, name: str, value: Any) -> None:
        if name not in self._validators:
            schema = {
                "$ref": f"#/components/schemas/{name}",
                "components": {"schemas": self.document["components"]["schemas"]},
            }
            self._validators[name] = Draft202012Validator(
                schema, format_checker=Draft202012Validator.FORMAT_CHECKER
            )
        self._validators[name].validate(value)


class CopiedContract(Contract):
    """The document of a copy: unlike with our own numbers, an encoded slash separates nothing."""

    def _operation(self, method: str, path: str) -> Any:
        return super()._operation(method, path.replace("%2F", "_").replace("%2f", "_"))
