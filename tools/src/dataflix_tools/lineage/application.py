"""The application's database: tables, their comments, masked views, and the triggers that make pseudonyms."""

import re
from pathlib import Path

from dataflix_tools.lineage import declared
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.statements import UnreadableFileError, created_table, statements

_INIT = Path("postgres") / "init"
_SCHEMA = re.compile(r"SET LOCAL search_path = (\w+)")
_COMMENT = re.compile(r"COMMENT ON COLUMN (?:(\w+)\.)?(\w+)\.(\w+) IS\s+'((?:[^']|'')*)'")
_VIEW = re.compile(r"CREATE OR REPLACE VIEW (?:(\w+)\.)?(\w+)\b.*?\bAS\s+(SELECT\b.*)", re.DOTALL)
_PSEUDONYMS = re.compile(r"INSERT INTO pii\.(\w+)[^(]*\(([^)]*)\)\s*(SELECT\b.*?)\s*ON CONFLICT", re.DOTALL)
_TRIGGER = re.compile(r"ON (\w+)\.(\w+)\s+REFERENCING NEW TABLE AS (\w+)")

# The application's own tables, and what is known of the database that its rows were copied from.
SCHEMAS = ("public", "source")

# Prefix of the views that list changes for the ELT. They show keys and counts and are not copied.
_OWN = "_"

# Prefix of the comments on personal columns.
_PERSONAL = "Personal."


class Application:
    """The tables, views and triggers that `postgres/init` makes.

    Attributes:
        tables: columns by schema and table.
        views: file and SELECT of each masked view.
        comments: documentation by schema, table and column.
        files: where a table is made, by `schema.table`.
        pseudonyms: file, table, columns and SELECT of each statement that fills a table in `pii`.
        triggers: schema and table whose changed rows a trigger names so.
    """

    def __init__(self, root: Path) -> None:
        """Read the files.

        Raises:
            UnreadableFileError: a statement cannot be parsed.
        """
        self.tables: dict[str, dict[str, list[str]]] = {}
        self.views: dict[str, tuple[str, str]] = {}
        self.comments: dict[tuple[str, str, str], str] = {}
        self.files: dict[str, str] = {}
        self.pseudonyms: list[tuple[str, str, list[str], str]] = []
        self.triggers: dict[str, tuple[str, str]] = {}
        for path in sorted((root / _INIT).glob("*.sql")):
            self._read(path, path.relative_to(root).as_posix())
        if "users" not in self.tables.get("public", {}) or "users" not in self.views:
            raise UnreadableFileError(f"{_INIT.as_posix()}: no table or no masked view of users")

    def _read(self, path: Path, file: str) -> None:
        schema = "public"
        for statement in statements(path):
            if found := _SCHEMA.match(statement):
                schema = found[1]
            elif statement.startswith("CREATE TABLE"):
                database, table, columns = created_table(statement, "postgres", file)
                self.tables.setdefault(database or schema, {})[table] = columns
                self.files[f"{database or schema}.{table}"] = file
            elif (found := _VIEW.match(statement)) and not found[2].startswith(_OWN):
                self.views[found[2]] = (file, found[3])
            elif found := _COMMENT.match(statement):
                self.comments[found[1] or schema, found[2], found[3]] = found[4].replace("''", "'")
            elif found := _PSEUDONYMS.search(statement):
                self.pseudonyms.append((file, found[1], re.findall(r"\w+", found[2]), found[3]))
            elif found := _TRIGGER.search(statement):
                self.triggers[found[3]] = (found[1], found[2])


def add_tables(graph: Graph, application: Application) -> None:
    """Add the tables of the application; columns about people get their class as marking."""
    found = ((schema, *item) for schema in SCHEMAS for item in application.tables.get(schema, {}).items())
    for schema, table, columns in found:
        file = application.files[f"{schema}.{table}"]
        for column in columns:
            about = application.comments.get((schema, table, column), "")
            if not about:
                graph.find(file, f"{table}.{column}", "is not documented (COMMENT ON COLUMN)")
            marking = _classification(graph, file, table, column, about)
            graph.add(Column(Name("postgres", table, column), file, about, marking))


def _classification(graph: Graph, file: str, table: str, column: str, about: str) -> str:
    if table not in declared.CLASSIFIED:
        return ""
    marking = declared.CLASSIFIED[table].get(column)
    name = f"{table}.{column}"
    if marking is None:
        graph.find(
            file,
            name,
            f"is not classified as personal or plain ({declared.FILE})",
        )
        # An unknown class counts as the worst.
        return "personal"
    if (marking == "personal") != about.startswith(_PERSONAL):
        graph.find(file, name, f"is classified as {marking}, but its comment says otherwise")
    return marking
