"""The masked views: what each of their columns shows of the application's personal columns."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from dataflix_tools.lineage.application import SCHEMAS, Application
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.sql import Query, Source, UnreadableSqlError

# A personal column may be shown as a keyed hash, or cut to its first letter.
_HASH = "hmac_sha256"
_SHOWN_LETTERS = "1"
# The function of `postgres/init/04_pseudonyms.sql` that cuts a name.
_MASKED_NAME = "_masked_name"


@dataclass(frozen=True)
class Pseudonym:
    """A column of a table of pseudonyms.

    Attributes:
        origins: the columns that it is made from.
        hashed: whether all of them are hashed.
    """

    origins: frozenset[Name]
    hashed: bool


def add_views(graph: Graph, application: Application) -> None:
    """Add the views of `masked`; a personal column that is shown unmasked is a finding."""
    pseudonyms = _pseudonyms(graph, application)
    for view, (file, sql) in application.views.items():
        try:
            query = Query.parse(sql, application.tables, "postgres")
        except UnreadableSqlError as error:
            graph.find(file, view, str(error))
            continue
        for column in query.columns:
            origins, marking = _shown(graph, query, column, pseudonyms)
            name = Name("masked", view, column)
            if marking == "personal":
                personal = ", ".join(sorted(f"{origin.table}.{origin.column}" for origin in origins))
                graph.find(file, name, f"shows the personal {personal} unmasked")
            if not origins and not _is_null(query.expression(column)):
                graph.find(file, name, "comes from no column of the application")
            about = application.comments.get(("masked", view, column), "") or _inherited(graph, origins)
            if not about:
                graph.find(file, name, "is not documented, nor is what it comes from")
            graph.add(Column(name, file, about, marking), origins)


def _is_null(expression: exp.Expr) -> bool:
    """Return whether a column shows nothing, whatever its type."""
    shown = expression.unalias()
    return isinstance(shown.this if isinstance(shown, exp.Cast) else shown, exp.Null)


def _shown(
    graph: Graph, query: Query, column: str, pseudonyms: dict[Source, Pseudonym]
) -> tuple[set[Name], str]:
    """Return where a view's column comes from, and its marking."""
    origins: set[Name] = set()
    markings = {"plain"}
    expression = query.expression(column)
    for source in query.sources(column):
        if source[0] in SCHEMAS:
            name = Name("postgres", *source[1:])
            origins.add(name)
            if name in graph.columns and graph.columns[name].marking == "personal":
                markings.add("masked" if _is_cut(expression, name.column) else "personal")
        elif source in pseudonyms:
            origins |= pseudonyms[source].origins
            markings.add("pseudonymised" if pseudonyms[source].hashed else "personal")
    # The worst marking counts.
    worst_first = ("personal", "masked", "pseudonymised", "plain")
    return origins, next(marking for marking in worst_first if marking in markings)


def _pseudonyms(graph: Graph, application: Application) -> dict[Source, Pseudonym]:
    """Return the columns that triggers fill in the tables of `pii`."""
    found: dict[Source, Pseudonym] = {}
    for file, table, columns, sql in application.pseudonyms:
        # The columns of the rows that a statement has changed, by the trigger's name for these rows.
        changed = {
            alias: application.tables[schema][name] for alias, (schema, name) in application.triggers.items()
        }
        text = sql
        for alias in changed:
            text = text.replace(f"FROM {alias}", f"FROM changed_rows.{alias}")
        try:
            query = Query.parse(text, {**application.tables, "changed_rows": changed}, "postgres")
        except UnreadableSqlError as error:
            graph.find(file, f"pii.{table}", str(error))
            continue
        for column, expression in zip(columns, query.expressions, strict=True):
            read = [item for item in expression.find_all(exp.Column) if item.table in changed]
            origins = frozenset(
                Name("postgres", application.triggers[item.table][1], item.name) for item in read
            )
            found["pii", table, column] = Pseudonym(origins, all(_is_hashed(item) for item in read))
    return found


def _is_hashed(column: exp.Expr) -> bool:
    return any(isinstance(part, exp.Anonymous) and part.name == _HASH for part in _ancestors(column))


def _is_cut(expression: exp.Expr, column: str) -> bool:
    """Return whether the expression uses a column, and only inside of left(..., 1) or of `_masked_name`."""
    read = [item for item in expression.find_all(exp.Column) if item.name == column]
    return bool(read) and all(any(_is_first_letter(node) for node in _ancestors(item)) for item in read)


def _is_first_letter(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return bool(node.name == _MASKED_NAME)
    return isinstance(node, exp.Left) and bool(node.expression.name == _SHOWN_LETTERS)


def _ancestors(expression: exp.Expr) -> Iterator[exp.Expr]:
    while expression.parent is not None:
        expression = expression.parent
        yield expression


def _inherited(graph: Graph, origins: set[Name]) -> str:
    known = [graph.columns[name].about for name in origins if name in graph.columns]
    return known[0] if len(known) == 1 else ""
