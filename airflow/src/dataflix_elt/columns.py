"""Kinds of columns: how each travels from Postgres to ClickHouse, and how both sides hash it.

A row's canonical bytes are those of its columns, one after the other, in network byte order: integers in
their width, a timestamp as microseconds since 2000 in 8 bytes, a text as the length of its UTF-8 in 4 bytes
and then the text, an array as its length in 4 bytes and then its elements. A nullable column begins with one
more byte, 0 for NULL. So two rows have the same bytes only if they are equal.
"""

from dataclasses import dataclass

# Microseconds from 1970, where ClickHouse counts from, to 2000, where Postgres does.
_POSTGRES_EPOCH_US = 946_684_800_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of column; the templates are SQL with `{c}` for the column.

    Attributes:
        source_type: the type in Postgres, as `format_type` prints it.
        warehouse_type: the type in ClickHouse.
        transport: Postgres: what COPY writes.
        source_bytes: Postgres: the canonical bytes of a value that is not NULL, as bytea.
        warehouse_bytes: ClickHouse: the same bytes, as String.
        invalid: Postgres: true for a value that ClickHouse's type cannot hold; None if it holds every value.
    """

    source_type: str
    warehouse_type: str
    transport: str
    source_bytes: str
    warehouse_bytes: str
    invalid: str | None = None

    @property
    def can_be_null(self) -> bool:
        """Whether ClickHouse has a NULL of this type; arrays have none."""
        return not self.warehouse_type.startswith("Array")


def _big_endian(value: str) -> str:
    return f"reverse(reinterpretAsFixedString({value}))"


def _number(source_type: str, warehouse_type: str, send: str, invalid: str | None = None) -> Kind:
    return Kind(source_type, warehouse_type, "{c}", f"{send}({{c}})", _big_endian("{c}"), invalid)


# textsend gives the bytes in the session's encoding, always UTF-8, at a third of convert_to's cost.
_SOURCE_TEXT = "int4send(octet_length(textsend({c}))) || textsend({c})"
_WAREHOUSE_TEXT = "concat(" + _big_endian("toInt32(length({c}))") + ", {c})"

INT16 = _number("smallint", "Int16", "int2send")
INT64 = _number("bigint", "Int64", "int8send")
# The engines write 'not a number' and infinity differently, and one such value would spoil every average.
FLOAT32 = _number("real", "Float32", "float4send", "{c} IN ('NaN', 'Infinity', '-Infinity')")
# Full transaction ids, which never wrap around; the sign bit stays free for millions of years.
XID = Kind("xid8", "UInt64", "{c}", "xid8send({c})", _big_endian("{c}"))
BOOL = Kind("boolean", "Bool", "{c}", "boolsend({c})", "char(toUInt8({c}))")
TEXT = Kind("text", "String", "{c}", _SOURCE_TEXT, _WAREHOUSE_TEXT)

TIMESTAMP = Kind(
    "timestamp with time zone",
    "DateTime64(6, 'UTC')",
    # Without an offset in the text, ClickHouse's quick parser reads it.
    "{c} AT TIME ZONE 'UTC'",
    "timestamptz_send({c})",
    _big_endian(f"toUnixTimestamp64Micro({{c}}) - {_POSTGRES_EPOCH_US}"),
    # The range of DateTime64; ClickHouse would store values outside as its ends, without an error.
    "{c} NOT BETWEEN '1900-01-01 00:00:00+00' AND '2299-12-31 23:59:59.999999+00'",
)


def _joined(element: str, separator: str) -> str:
    """Return Postgres' expression that joins `element` of each element of the array, in their order."""
    elements = "unnest({c}) WITH ORDINALITY AS elements (element, position)"
    joined = f"string_agg({element}, '{separator}' ORDER BY position)"
    return f"coalesce((SELECT {joined} FROM {elements}), '')"  # noqa: S608


# ClickHouse's literal of a string; backslashes first, because quoting adds more of them.
_LITERAL = r"'''' || replace(replace(element, '\', '\\'), '''', '\''') || ''''"

TEXT_ARRAY = Kind(
    "text[]",
    "Array(String)",
    "'[' || " + _joined(_LITERAL, ",") + " || ']'",
    "int4send(cardinality({c})) || " + _joined(_SOURCE_TEXT.format(c="element"), ""),
    "concat("
    + _big_endian("toInt32(length({c}))")
    + ", arrayStringConcat(arrayMap(element -> "
    + _WAREHOUSE_TEXT.format(c="element")
    + ", {c})))",
    # array_position fails on arrays of more dimensions, so CASE keeps them away from it.
    "CASE WHEN array_ndims({c}) > 1 THEN true ELSE array_position({c}, NULL) IS NOT NULL END",
)


# How a view's columns beyond the definition are loaded, by Postgres' name of their type.
KINDS = {kind.source_type: kind for kind in (INT16, INT64, FLOAT32, BOOL, TEXT, TIMESTAMP, TEXT_ARRAY)}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, of the same name on both sides."""

    name: str
    kind: Kind
    nullable: bool = False

    @property
    def warehouse_type(self) -> str:
        """The column's type in ClickHouse, as `system.columns` prints it."""
        return f"Nullable({self.kind.warehouse_type})" if self.nullable else self.kind.warehouse_type

    @property
    def transport(self) -> str:
        """Postgres' expression for COPY."""
        return self.kind.transport.format(c=self.name)

    @property
    def source_bytes(self) -> str:
        """Postgres' expression of the canonical bytes."""
        value = self.kind.source_bytes.format(c=self.name)
        if not self.nullable:
            return value
        return rf"CASE WHEN {self.name} IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || {value} END"

    @property
    def warehouse_bytes(self) -> str:
        """ClickHouse's expression of the canonical bytes."""
        if not self.nullable:
            return self.kind.warehouse_bytes.format(c=self.name)
        value = self.kind.warehouse_bytes.format(c=f"assumeNotNull({self.name})")
        return f"if(isNull({self.name}), char(0), concat(char(1), {value}))"

    @property
    def invalid(self) -> str:
        """Postgres' condition, true for values the warehouse cannot store; 'false' if it stores all."""
        conditions = [] if self.nullable else [f"{self.name} IS NULL"]
        if self.kind.invalid is not None:
            conditions.append(self.kind.invalid.format(c=self.name))
        return " OR ".join(conditions) or "false"
