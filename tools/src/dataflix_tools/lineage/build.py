"""Builds the graph of a project's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataflix_tools.lineage.api import add_api, openapi_document
from dataflix_tools.lineage.application import Application, add_tables
from dataflix_tools.lineage.dashboards import add_dashboards
from dataflix_tools.lineage.graph import Graph
from dataflix_tools.lineage.marts import add_dbt
from dataflix_tools.lineage.masking import add_views
from dataflix_tools.lineage.model import add_model
from dataflix_tools.lineage.warehouse import add_raw_tables, check_specification


def build(root: Path, document: Mapping[str, Any] | None = None) -> Graph:
    """Return the graph of all columns, built layer by layer.

    Args:
        root: the project's folder.
        document: the API's OpenAPI document; by default that of the backend in `root`.

    Raises:
        UnreadableFileError: a file of SQL or Python cannot be read; the message names it.
        DbtFileError: a file of the dbt project cannot be read; the message names it.
    """
    graph = Graph()
    application = Application(root)
    add_tables(graph, application)
    add_views(graph, application)
    add_raw_tables(graph, root)
    check_specification(graph, root)
    add_dbt(graph, root)
    add_model(graph, root)
    add_api(graph, openapi_document(root) if document is None else document)
    add_dashboards(graph, root)
    return graph
