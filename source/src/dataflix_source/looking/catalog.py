"""What the source's catalog says of its tables: columns, keys, rights."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from dataflix_source.client import Session
from dataflix_source.description.references import Hop, Reference, TableName

ID_TYPES = frozenset({"int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "uuid", "citext"})
TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext", "name"})
NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
TIME_TYPES = frozenset({"timestamptz", "timestamp", "date"})
ZONELESS_TYPES = frozenset({"timestamp", "date"})
# What an attribute of an item may be. Others have no use in a filter: bytes, search vectors, geometry.
ATTRIBUTE_TYPES = (
    TEXT_TYPES | NUMBER_TYPES | TIME_TYPES | {"bool", "uuid", "json", "jsonb", "money", "time", "interval"}
)

VIEWS = ("v", "m")


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        type: name of the type below its domains; for an array, that of its elements.
        is_enum: one of a list of texts.
        is_array: a list of these.
        can_read: whether our role may read it.
    """

    name: str
    type: str
    is_enum: bool
    is_array: bool
    not_null: bool
    can_read: bool

    @property
    def is_text(self) -> bool:
        """Whether values are single texts."""
        return (self.type in TEXT_TYPES or self.is_enum) and not self.is_array

    @property
    def shown_type(self) -> str:
        """How messages name the type."""
        return self.type + ("[]" if self.is_array else "")

    def id_text(self, value: str) -> str:
        """Return SQL for the text that stands for an id: equal ids have equal texts."""
        if self.type == "numeric":
            return f"trim_scale({value})::text"
        if self.type == "citext":
            return f"lower({value}::text)"
        return f"{value}::text"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that name a row of another table."""

    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table or view.

    Attributes:
        kind: as in pg_class: r table, p partitioned, v view, m materialised view, f foreign table.
        rows: the planner's estimate; -1 if it has none.
        keys: sets of columns that are unique in all rows; the primary key is the first.
        is_partition: whether it is a partition, or inherits.
        has_children: whether others inherit from it.
        hides_rows: whether policies hide rows from our role.
        is_ours: whether our role owns it.
        is_logged: whether the write-ahead log has its changes.
        in_open_schema: whether our role may look into its schema (USAGE).
    """

    name: TableName
    kind: str
    rows: int
    is_partition: bool
    has_children: bool
    hides_rows: bool
    is_ours: bool
    is_logged: bool
    in_open_schema: bool
    columns: dict[str, Column] = field(default_factory=dict)
    keys: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)

    @property
    def is_view(self) -> bool:
        """Whether rows come from a query."""
        return self.kind in VIEWS

    def is_unique(self, column: str) -> bool:
        """Whether a key of this column alone makes it unique."""
        return (column,) in self.keys

    def can_read(self, columns: Collection[str]) -> bool:
        """Whether our role may read all of these columns."""
        return all(self.columns[name].can_read for name in columns if name in self.columns)


@dataclass(frozen=True)
class Catalog:
    """All tables and views, by name, as a role sees them."""

    tables: dict[TableName, Table]
    role: str

    def find(self, name: TableName) -> Table | None:
        """Return a table; None if there is none of this name."""
        return self.tables.get(name)

    def hop_key(self, hop: Hop) -> str | None:
        """Return the column that a step of a path compares; None if the table has no key of one column."""
        if hop.key:
            return hop.key
        table = self.find(hop.table)
        if table is None:
            return None
        return next((key[0] for key in table.keys if len(key) == 1), None)

    def column(self, table: Table, reference: Reference) -> Column | None:
        """Return the column at the end of a reference; None if it leads nowhere."""
        column = table.columns.get(reference.column)
        for hop in reference.hops:
            target = self.find(hop.table)
            if column is None or target is None or self.hop_key(hop) not in target.columns:
                return None
            column = target.columns.get(hop.column)
        return column


_TABLES = """
SELECT
    c.oid::bigint, n.nspname, c.relname, c.relkind, c.reltuples::bigint,
    c.relispartition OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
    EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid),
    c.relrowsecurity AND NOT (
        (pg_has_role(c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)
        OR (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = current_user)
    ),
    pg_has_role(c.relowner, 'USAGE'), c.relpersistence = 'p',
    has_schema_privilege(c.relnamespace, 'USAGE')
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY(%(schemas)s))
ORDER BY n.nspname, c.relname
"""

_COLUMNS = """
WITH RECURSIVE base AS (
    SELECT oid AS type, oid, typname, typtype, typbasetype, typelem, typcategory FROM pg_type
    UNION ALL
    SELECT base.type, t.oid, t.typname, t.typtype, t.typbasetype, t.typelem, t.typcategory
    FROM base INNER JOIN pg_type AS t ON base.typbasetype = t.oid
    WHERE base.typtype = 'd'
),
plain AS (
    SELECT
        b.type, b.typcategory = 'A' AS is_array,
        CASE WHEN b.typcategory = 'A' THEN e.typname ELSE b.typname END AS name,
        CASE WHEN b.typcategory = 'A' THEN e.typtype ELSE b.typtype END = 'e' AS is_enum
    FROM base AS b LEFT JOIN pg_type AS e ON b.typelem = e.oid
    WHERE b.typtype <> 'd'
)
SELECT
    a.attrelid::bigint, a.attname, p.name, p.is_enum, p.is_array, a.attnotnull,
    has_column_privilege(a.attrelid, a.attnum, 'SELECT') AND has_schema_privilege(c.relnamespace, 'USAGE')
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
INNER JOIN plain AS p ON a.atttypid = p.type
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

_KEYS = """
SELECT i.indrelid::bigint, (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
    INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
    WHERE k.place <= i.indnkeyatts
)
FROM pg_index AS i
WHERE
    i.indrelid = ANY(%s::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, NOT i.indisprimary, i.indnkeyatts, i.indexrelid
"""

_FOREIGN_KEYS = """
SELECT k.conrelid::bigint, n.nspname, t.relname,
    ARRAY(
        SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
        INNER JOIN pg_attribute AS a ON k.conrelid = a.attrelid AND u.attnum = a.attnum ORDER BY u.place
    ),
    ARRAY(
        SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
        INNER JOIN pg_attribute AS a ON k.confrelid = a.attrelid AND u.attnum = a.attnum ORDER BY u.place
    )
FROM pg_constraint AS k
INNER JOIN pg_class AS t ON k.confrelid = t.oid
INNER JOIN pg_namespace AS n ON t.relnamespace = n.oid
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY(%s::oid[])
ORDER BY k.conrelid, k.oid
"""


def read_catalog(session: Session, schemas: Iterable[str] | None = None) -> Catalog:
    """Read the catalog; no row of a table is read.

    Args:
        session: a snapshot of the source.
        schemas: only these; None for all that are not Postgres' own.
    """
    wanted = None if schemas is None else sorted(set(schemas))
    found = session.rows(_TABLES, {"schemas": wanted})
    by_oid = {
        oid: Table(TableName(schema, name), kind, rows, partition, children, hides, ours, logged, is_open)
        for oid, schema, name, kind, rows, partition, children, hides, ours, logged, is_open in found
    }
    oids = list(by_oid)
    for oid, name, type_name, is_enum, is_array, not_null, can_read in session.rows(_COLUMNS, (oids,)):
        by_oid[oid].columns[name] = Column(name, type_name, is_enum, is_array, not_null, can_read)
    for oid, columns in session.rows(_KEYS, (oids,)):
        # Without NOT NULL a unique index lets several rows have no value.
        if columns and all(by_oid[oid].columns[name].not_null for name in columns):
            by_oid[oid].keys.append(tuple(columns))
    for oid, schema, name, columns, target_columns in session.rows(_FOREIGN_KEYS, (oids,)):
        by_oid[oid].foreign_keys.append(
            ForeignKey(tuple(columns), TableName(schema, name), tuple(target_columns))
        )
    return Catalog(
        {table.name: table for table in by_oid.values()}, session.value("SELECT current_user::text")
    )
