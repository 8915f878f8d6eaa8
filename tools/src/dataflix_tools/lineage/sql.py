"""Column lineage inside one SQL statement.

A column of a result comes from every column its expression names. A join on values (not on ids) also decides
what comes out of the joined table: the weight that is looked up by a rating comes from the rating. A count of
rows comes from what the rows are grouped by. Conditions (WHERE, HAVING) are not followed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

# A join on these only puts a row beside its own description.
_IDENTITY = ("_id", "_version")

# A column of a table: database, table, column.
Source = tuple[str, str, str]
Schema = Mapping[str, Mapping[str, list[str]]]


class UnreadableSqlError(Exception):
    """The SQL can't be parsed, or names a table or a column that is not in the schema."""


@dataclass(frozen=True)
class Query:
    """A parsed SELECT whose names are all known."""

    root: Scope

    @classmethod
    def parse(cls, text: str, schema: Schema, dialect: str) -> "Query":
        """Parse a query.

        Args:
            text: the SELECT.
            schema: column names by database and table.
            dialect: postgres or clickhouse.

        Raises:
            UnreadableSqlError: it is no SQL, or names what is not in `schema`; the message says what.
        """
        known: dict[str, object] = {
            database: {table: dict.fromkeys(columns, "unknown") for table, columns in tables.items()}
            for database, tables in schema.items()
        }
        try:
            parsed = sqlglot.parse_one(text, dialect=dialect)
            qualified = qualify(
                parsed, schema=known, dialect=dialect, expand_alias_refs=False, quote_identifiers=False
            )
            root = build_scope(qualified)
        except SqlglotError as error:
            raise UnreadableSqlError(str(error).splitlines()[0]) from error
        if root is None:
            raise UnreadableSqlError("is no SELECT")
        tables = (source for scope in root.traverse() for source in scope.sources.values())
        for table in tables:
            if isinstance(table, exp.Table) and table.db and table.name not in schema.get(table.db, {}):
                raise UnreadableSqlError(f"reads {table.db}.{table.name}, which does not exist")
        return cls(root)

    @property
    def columns(self) -> list[str]:
        """Names of the result's columns."""
        return _names(self.root)

    @property
    def expressions(self) -> list[exp.Expr]:
        """What makes each column of the result."""
        return _selects(self.root)

    def expression(self, column: str) -> exp.Expr:
        """Return what makes a column of the result."""
        return self.expressions[self.columns.index(column)]

    def sources(self, column: str) -> set[Source]:
        """Return the columns of tables that a column of the result comes from."""
        return set(_sources(self.root, self.columns.index(column)))


def names_in(expression: str, dialect: str = "clickhouse") -> set[str]:
    """Return the columns that an expression names; raises UnreadableSqlError."""
    try:
        parsed = sqlglot.parse_one(expression, dialect=dialect)
    except SqlglotError as error:
        raise UnreadableSqlError(str(error).splitlines()[0]) from error
    return {column.name for column in parsed.find_all(exp.Column)}


def _sources(scope: Scope, position: int) -> Iterator[Source]:
    if scope.set_operation_scopes:
        for part in scope.set_operation_scopes:
            yield from _sources(part, position)
        return
    joins = _joined_on(scope)
    selected = _selects(scope)[position]
    named = list(selected.find_all(exp.Column))
    grouped = scope.expression.args.get("group")
    if not named and grouped is not None and selected.find(exp.Count):
        named = list(grouped.find_all(exp.Column))
    for column in named:
        yield from _origin(scope, column)
        for other in joins.get(column.table, ()):
            yield from _origin(scope, other)


def _origin(scope: Scope, column: exp.Column) -> Iterator[Source]:
    source = scope.sources.get(column.table)
    if isinstance(source, exp.Table) and source.db:
        yield source.db, source.name, column.name
    elif isinstance(source, Scope):
        names = _names(source)
        if column.name in names:
            yield from _sources(source, names.index(column.name))


def _selects(scope: Scope) -> list[exp.Expr]:
    if not isinstance(scope.expression, exp.Query):
        raise UnreadableSqlError("is no SELECT")
    return list(scope.expression.selects)


def _names(scope: Scope) -> list[str]:
    return [item.alias_or_name for item in _selects(scope)]


def _joined_on(scope: Scope) -> dict[str, list[exp.Column]]:
    """Return, by the alias of a joined table, the other side's values it is joined on."""
    found: dict[str, list[exp.Column]] = {}
    for join in scope.expression.args.get("joins") or []:
        condition = join.args.get("on")
        alias = join.this.alias_or_name
        for column in condition.find_all(exp.Column) if condition is not None else ():
            if column.table != alias and not column.name.endswith(_IDENTITY):
                found.setdefault(alias, []).append(column)
    return found
