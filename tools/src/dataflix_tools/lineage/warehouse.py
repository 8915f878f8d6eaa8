"""The warehouse before dbt: raw tables, the ELT's list of their columns, and tables that others write."""

import ast
from pathlib import Path

from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.statements import UnreadableFileError, created_table, statements

_ELT = Path("airflow") / "src" / "dataflix_elt"
_SPECIFICATION = _ELT / "tables.py"

# Prefix of the columns that the ELT adds to find changes; a raw table's other columns are those of its view.
_BOOKKEEPING = "_"


def add_raw_tables(graph: Graph, root: Path) -> None:
    """Add the tables of `clickhouse/init`; those of a masked view must be that view, column by column.

    Raises:
        UnreadableFileError: a file can't be followed.
    """
    views = graph.tables("masked")
    for file, database, table, columns in _created(root):
        name = f"{database}.{table}"
        view = views.get(table) if database == "raw" else None
        for column in columns:
            is_copy = view is not None and not column.startswith(_BOOKKEEPING)
            source = [Name("masked", table, column)] if is_copy else []
            known = graph.columns.get(source[0]) if source else None
            marking, about = (known.marking, known.about) if known else ("", "")
            graph.add(Column(Name("clickhouse", name, column), file, about, marking), source)
        for column in view or ():
            if column not in columns:
                graph.find(file, f"{name}.{column}", f"is missing; the view masked.{table} has it")
    for view_name in views:
        if not graph.table("clickhouse", f"raw.{view_name}"):
            graph.find("clickhouse/init", f"raw.{view_name}", "is missing; it is a masked view")


def check_specification(graph: Graph, root: Path) -> None:
    """Compare the ELT's list of columns, by which it copies, with the masked views.

    Raises:
        UnreadableFileError: the list can't be read.
    """
    file = _SPECIFICATION.as_posix()
    listed = _specification(root)
    views = {
        table: [column for column in columns if not column.startswith(_BOOKKEEPING)]
        for table, columns in graph.tables("masked").items()
    }
    for table in views.keys() | listed.keys():
        for column in set(listed.get(table, [])) ^ set(views.get(table, [])):
            where = "the ELT's list" if column in listed.get(table, []) else "the masked view"
            graph.find(file, f"{table}.{column}", f"is only in {where}")
    # The ELT's own code fills the bookkeeping columns.
    code = "\n".join(path.read_text() for path in (root / _ELT).rglob("*.py"))
    for name, known in graph.columns.items():
        is_ours = name.table.startswith("raw.") and name.column.startswith(_BOOKKEEPING)
        if is_ours and name.column not in code:
            graph.find(known.file, name, f"is written by no file of {_ELT.as_posix()}")


def _created(root: Path) -> list[tuple[str, str, str, list[str]]]:
    found = []
    for path in sorted((root / "clickhouse" / "init").glob("*.sql")):
        file = path.relative_to(root).as_posix()
        for statement in statements(path):
            if statement.startswith("CREATE TABLE"):
                found.append((file, *created_table(statement, "clickhouse", file)))
    if not found:
        raise UnreadableFileError("clickhouse/init: no table")
    return found


def _specification(root: Path) -> dict[str, list[str]]:
    """Return the columns of each `Table(name, (Column(name, ...), ...), key=...)`."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse((root / _SPECIFICATION).read_text())):
        match node:
            case ast.Call(
                func=ast.Name("Table"), args=[ast.Constant(value=str(table)), ast.Tuple(elts=columns)]
            ):
                found[table] = [
                    column.args[0].value
                    for column in columns
                    if isinstance(column, ast.Call)
                    and isinstance(column.args[0], ast.Constant)
                    and isinstance(column.args[0].value, str)
                ]
    if not found:
        raise UnreadableFileError(f"{_SPECIFICATION.as_posix()}: no Table(...) with its columns")
    return found
