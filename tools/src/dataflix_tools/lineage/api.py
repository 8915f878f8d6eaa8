"""The API: every field of every schema of its OpenAPI document has a source."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataflix_tools.lineage import declared
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.statements import UnreadableFileError

_FILE = "backend/src/dataflix_backend/schemas"
# The backend makes the document in a second or two.
_TIMEOUT_S = 60


def add_api(graph: Graph, document: Mapping[str, Any]) -> None:
    """Add the fields of the schemas that carry data."""
    schemas = document["components"]["schemas"]
    seen: set[str] = set()
    for schema, described in schemas.items():
        if schema in declared.API_ENVELOPES:
            continue
        for field, shape in described.get("properties", {}).items():
            name = f"{schema}.{field}"
            if name not in declared.API_COMPUTED and field in declared.API_PARTS:
                continue
            seen.add(name)
            origins = _origins(graph, schema, field)
            if not origins:
                graph.find(_FILE, name, f"has no source (declare it in {declared.FILE})")
            about = shape.get("description", "") or _inherited(graph, origins)
            graph.add(Column(Name("api", schema, field), _FILE, about), origins)
    for name in declared.API_COMPUTED.keys() - seen:
        graph.find(declared.FILE, name, "is no field of the API")
    for schema in (declared.API_TABLES.keys() | declared.API_ENVELOPES) - schemas.keys():
        graph.find(declared.FILE, schema, "is no schema of the API")


def _origins(graph: Graph, schema: str, field: str) -> list[Name]:
    computed = declared.API_COMPUTED.get(f"{schema}.{field}")
    if computed is not None:
        return [Name.parse(text) for text in computed]
    for table in declared.API_TABLES.get(schema, ()):
        name = Name.parse(f"{table}.{field}")
        if name in graph.columns:
            return [name]
    return []


def _inherited(graph: Graph, origins: list[Name]) -> str:
    known = [graph.columns[name].about for name in origins if name in graph.columns]
    return known[0] if len(known) == 1 else ""


def openapi_document(root: Path) -> dict[str, Any]:
    """Return the OpenAPI document of the backend in `root`.

    Raises:
        UnreadableFileError: it can't print its document.
    """
    packages = [str(root / "backend" / "src"), str(root / "recommender" / "src")]
    printed = subprocess.run(
        [sys.executable, "-c", "from dataflix_backend.cli import main; main()", "openapi"],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(packages)},
    )
    if printed.returncode != 0:
        last = printed.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise UnreadableFileError(f"{_FILE}: `dataflix-backend openapi` failed and said: {last[0]}")
    document: dict[str, Any] = json.loads(printed.stdout)
    return document
