"""The JSON Schema of descriptions, for editors; `dataflix-source schema` prints it."""

from typing import Any

from dataflix_source.description.model import Description


def json_schema() -> dict[str, Any]:
    """Return the schema, made from the models that check a description."""
    schema = Description.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://dataflix.example/schemas/dataflix-1.json",
        **schema,
        "title": "dataflix.yml",
    }
