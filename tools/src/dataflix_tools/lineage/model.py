"""The model: the trainer's queries, the artifact's tables, and the signature that MLflow shows."""

import ast
from collections.abc import Iterator
from pathlib import Path

from dataflix_tools.lineage import declared
from dataflix_tools.lineage.dbt import DATABASE
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.sql import Query, UnreadableSqlError
from dataflix_tools.lineage.statements import UnreadableFileError

_READER = Path("trainer/src/dataflix_trainer/data/warehouse.py")
_WRITER = Path("trainer/src/dataflix_trainer/registry/training_run.py")
_CATALOGUE = Path("recommender/src/dataflix_recommender/data/catalogue.py")

# The variables in the reader's code for a row of a query and for a table of columns.
_ROW = "row"
_COLUMNS = "columns"


def add_model(graph: Graph, root: Path) -> None:
    """Add the trainer's queries, the artifact's tables and the model's signature.

    Raises:
        UnreadableFileError: a file does not have the expected form.
    """
    reader = ast.parse((root / _READER).read_text())
    _add_queries(graph, reader)
    _add_items(graph, root, reader)
    _add_weights(graph, reader)
    for used in _subscripts(reader, _COLUMNS):
        if Name("training", "MATRIX_QUERY", used) not in graph.columns:
            graph.find(_READER.as_posix(), used, "is no column of MATRIX_QUERY")
    _add_signature(graph, root)


def _add_queries(graph: Graph, reader: ast.Module) -> None:
    models = {DATABASE: graph.tables("dbt")}
    for statement in reader.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(sql))) if name.endswith(
                "_QUERY"
            ):
                try:
                    query = Query.parse(sql, models, "clickhouse")
                except UnreadableSqlError as error:
                    graph.find(_READER.as_posix(), name, str(error))
                    continue
                for column in query.columns:
                    origins = [Name("dbt", table, source) for _, table, source in query.sources(column)]
                    _add(graph, Name("training", name, column), _READER, origins)


def _add_items(graph: Graph, root: Path, reader: ast.Module) -> None:
    """Add the artifact's items: a row of CATALOGUE_QUERY gives each field of `Item`."""
    given = {
        keyword.arg: list(_subscripts(keyword.value, _ROW))
        for call in _calls(reader, "Item")
        for keyword in call.keywords
        if keyword.arg is not None
    }
    item = next(
        (
            node
            for node in ast.walk(ast.parse((root / _CATALOGUE).read_text()))
            if isinstance(node, ast.ClassDef) and node.name == "Item"
        ),
        None,
    )
    if item is None or not given:
        raise UnreadableFileError(
            f"{_CATALOGUE.as_posix()}, {_READER.as_posix()}: no class Item, or no Item(...)"
        )
    for line in item.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            field = line.target.id
            origins = [Name("training", "CATALOGUE_QUERY", column) for column in given.get(field, [])]
            if not origins:
                graph.find(_READER.as_posix(), f"Item.{field}", "is given no column of CATALOGUE_QUERY")
            _add(graph, Name("artifact", "Item", field), _CATALOGUE, origins)


def _add_weights(graph: Graph, reader: ast.Module) -> None:
    """Add the artifact's confidence weights: the rows of WEIGHTS_QUERY."""
    for call in _calls(reader, "from_rows"):
        for column in _subscripts(call, _ROW):
            origin = Name("training", "WEIGHTS_QUERY", column)
            _add(graph, Name("artifact", "ConfidenceWeights", column), _READER, [origin])


def _add_signature(graph: Graph, root: Path) -> None:
    file = _WRITER.as_posix()
    found: set[str] = set()
    for call in _calls(ast.parse((root / _WRITER).read_text()), "ModelSignature"):
        for side in call.keywords:
            if side.arg in ("inputs", "outputs"):
                found |= {
                    f"{side.arg}.{text.value}"
                    for column in _calls(side.value, "ColSpec")
                    for text in column.args
                    if isinstance(text, ast.Constant) and isinstance(text.value, str)
                }
    if not found:
        raise UnreadableFileError(f"{file}: no ModelSignature(inputs=..., outputs=...) of ColSpec")
    for name in sorted(found):
        if name not in declared.SIGNATURE:
            graph.find(
                file,
                f"signature {name}",
                f"has no declared source ({declared.FILE})",
            )
        origins = [Name.parse(text) for text in declared.SIGNATURE.get(name, ())]
        _add(graph, Name.parse(f"signature {name}"), _WRITER, origins)
    for name in declared.SIGNATURE.keys() - found:
        graph.find(declared.FILE, f"signature {name}", "is no part of the signature")


def _add(graph: Graph, name: Name, file: Path, origins: list[Name]) -> None:
    known = {graph.columns[origin].about for origin in origins if origin in graph.columns}
    graph.add(Column(name, file.as_posix(), known.pop() if len(known) == 1 else ""), origins)


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """Yield calls of a function or method."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called == name:
                yield node


def _subscripts(tree: ast.AST, variable: str) -> Iterator[str]:
    """Yield each constant text that subscripts a variable."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=used), slice=ast.Constant(value=str(text))) if (
                used == variable
            ):
                yield text
