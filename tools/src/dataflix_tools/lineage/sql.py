"""Column lineage inside one SQL statement, by sqlglot.

sqlglot follows the columns that an expression names. Two more count here. A value that is looked up by a join
on values, not on ids, also comes from the columns of the join, as a weight comes from the rating. A count of
rows also comes from the columns that the rows are grouped by. Conditions (WHERE, HAVING) are not followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

# A join on these columns adds the description of a row and decides no value.
_IDENTITY = ("_id", "_version")

# A column of a table: database, table, column.
Source = tuple[str, str, str]
Schema = Mapping[str, Mapping[str, list[str]]]


class UnreadableSqlError(Exception):
    """The SQL cannot be parsed, or names a table or column that the schema does not have."""


@dataclass(frozen=True)
class Query:
    """A parsed SELECT whose tables and columns are all in the schema.

    Attributes:
        root: the statement.
        traced: the statement with the columns that its expressions depend on without naming them.
        dialect: postgres or clickhouse.
    """

    root: Scope
    traced: Scope
    dialect: str

    @classmethod
    def parse(cls, text: str, schema: Schema, dialect: str) -> "Query":
        """Parse a query.

        Args:
            text: the SELECT.
            schema: column names by database and table.
            dialect: postgres or clickhouse.

        Raises:
            UnreadableSqlError: it is not SQL, or names something that `schema` does not have.
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
            traced = build_scope(_with_implied_columns(qualified))
        except SqlglotError as error:
            raise UnreadableSqlError(str(error).splitlines()[0]) from error
        if root is None or traced is None:
            raise UnreadableSqlError("is no SELECT")
        tables = (source for scope in root.traverse() for source in scope.sources.values())
        for table in tables:
            if isinstance(table, exp.Table) and table.db and table.name not in schema.get(table.db, {}):
                raise UnreadableSqlError(f"reads {table.db}.{table.name}, which does not exist")
        return cls(root, traced, dialect)

    @property
    def columns(self) -> list[str]:
        """Names of the result's columns."""
        return _names(self.root)

    @property
    def expressions(self) -> list[exp.Expr]:
        """The expression of each column of the result."""
        return _selects(self.root)

    def expression(self, column: str) -> exp.Expr:
        """Return the expression of a column of the result."""
        return self.expressions[self.columns.index(column)]

    def sources(self, column: str) -> set[Source]:
        """Return the columns of tables that a column of the result comes from."""
        return {
            (leaf.source.db, leaf.source.name, exp.to_column(leaf.name).name)
            for leaf in self._lineage[column].walk()
            if isinstance(leaf.source, exp.Table) and leaf.source.db
        }

    @cached_property
    def _lineage(self) -> dict[str, Node]:
        traced = self.traced.expression
        return lineage(
            None, traced, {}, scope=self.traced, dialect=self.dialect, trim_selects=False, copy=False
        )


def names_in(expression: str, dialect: str = "clickhouse") -> set[str]:
    """Return the columns that an expression names.

    Raises:
        UnreadableSqlError: the expression cannot be parsed.
    """
    try:
        parsed = sqlglot.parse_one(expression, dialect=dialect)
    except SqlglotError as error:
        raise UnreadableSqlError(str(error).splitlines()[0]) from error
    return {column.name for column in parsed.find_all(exp.Column)}


def _selects(scope: Scope) -> list[exp.Expr]:
    if not isinstance(scope.expression, exp.Query):
        raise UnreadableSqlError("is no SELECT")
    return list(scope.expression.selects)


def _names(scope: Scope) -> list[str]:
    return [item.alias_or_name for item in _selects(scope)]


def _with_implied_columns(query: exp.Expr) -> exp.Expr:
    """Return a copy in which each expression also names the columns that it depends on without naming them.

    sqlglot's lineage follows only the columns of the expression itself.
    """
    copy = query.copy()
    for select in copy.find_all(exp.Select):
        joins = _joined_on(select)
        group = select.args.get("group")
        for item in select.expressions:
            named = list(item.find_all(exp.Column))
            implied: list[exp.Column] = []
            if not named and group is not None and item.find(exp.Count):
                named = implied = list(group.find_all(exp.Column))
            implied = implied + [other for column in named for other in joins.get(column.table, ())]
            if implied:
                value = item.this if isinstance(item, exp.Alias) else item
                columns = exp.Tuple(expressions=[value.copy(), *(column.copy() for column in implied)])
                value.replace(
                    columns if isinstance(item, exp.Alias) else exp.alias_(columns, item.output_name)
                )
    return copy


def _joined_on(select: exp.Select) -> dict[str, list[exp.Column]]:
    """Return, by the alias of a joined table, the columns of other tables whose values it is joined on."""
    found: dict[str, list[exp.Column]] = {}
    for join in select.args.get("joins") or []:
        condition = join.args.get("on")
        alias = join.this.alias_or_name
        for column in condition.find_all(exp.Column) if condition is not None else ():
            if column.table != alias and not column.name.endswith(_IDENTITY):
                found.setdefault(alias, []).append(column)
    return found
