"""Names of columns as a description writes them: `column`, or a path `column -> schema.table.column`.

A path follows a key: `inventory_id -> public.inventory.film_id` is the film of the copy that `inventory_id`
names. By default the table's primary key is compared; `-> public.inventory(barcode).film_id` names another
unique column.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"\x00-\x1f\x7f]|"")+")'
_TABLE = rf"(?:{_NAME}\.)?{_NAME}"
_HOP = rf"(?P<table>{_TABLE})(?:\((?P<key>{_NAME})\))?\.(?P<column>{_NAME})"
_ARROW = re.compile(r"\s*->\s*")
_COLUMN_PATTERN = re.compile(_NAME)
_TABLE_PATTERN = re.compile(_TABLE)
_HOP_PATTERN = re.compile(_HOP)
_DEFAULT_SCHEMA = "public"
# NAMEDATALEN of Postgres without the byte at its end.
_MAX_NAME_BYTES = 63


def quoted(name: str) -> str:
    """Return a name as SQL needs it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text as a literal of SQL, under any settings; it can't end a dollar quote."""
    text = "'" + value.replace("'", "''") + "'"
    if "\\" not in value and "$" not in value:
        return text
    return " E" + text.replace("\\", "\\\\").replace("$", r"\x24")


def yaml_text(text: str) -> str:
    """Return a text as a description's YAML needs it."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z_-]*", text) else "'" + text.replace("'", "''") + "'"


def in_file(name: "TableName | ColumnName | Reference") -> str:
    """Return a name as it is written into a description.

    YAML takes a name in double quotes for a whole value without its quotes, and what follows it for an error.
    """
    return yaml_text(str(name)) if '"' in str(name) else str(name)


def _bare(name: str) -> str:
    bare = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
    # The bodies of our functions stand between $dataflix$ and $dataflix$.
    if "$dataflix" in bare:
        raise PydanticCustomError("name", "{name} has $dataflix in it, which is ours", {"name": name})
    if len(bare.encode()) > _MAX_NAME_BYTES:
        raise PydanticCustomError("name", "{name} is longer than a name in Postgres", {"name": name})
    return bare


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d][\w$]*", name) and name == name.lower() else quoted(name)


class _Text:
    """Base of what is written as one text in the description."""

    pattern = ""
    examples: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text.

        Raises:
            PydanticCustomError: it has not this form.
        """
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "examples": list(cls.examples)}

    @classmethod
    def _validate(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not value.strip():
            raise PydanticCustomError("reference", "must be a name, for instance {e}", {"e": cls.examples[0]})
        return cls.parse(value.strip())


@dataclass(frozen=True, slots=True, order=True)
class TableName(_Text):
    """A table or view, with its schema."""

    schema: str
    name: str

    examples = ("public.customer",)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `schema.table`, or `table` of schema public."""
        if not _TABLE_PATTERN.fullmatch(text):
            raise PydanticCustomError(
                "table", "{text} is not the name of a table (schema.table)", {"text": text}
            )
        names = [_bare(name) for name in re.findall(_NAME, text)]
        return cls(*names) if len(names) > 1 else cls(_DEFAULT_SCHEMA, names[0])

    @property
    def sql(self) -> str:
        """The name, quoted."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return f"{_shown(self.schema)}.{_shown(self.name)}"


@dataclass(frozen=True, slots=True, order=True)
class ColumnName(_Text):
    """A column of the table that is spoken of."""

    name: str

    examples = ("customer_id",)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name."""
        if not _COLUMN_PATTERN.fullmatch(text):
            raise PydanticCustomError("column", "{text} is not the name of a column", {"text": text})
        return cls(_bare(text))

    def __str__(self) -> str:
        return _shown(self.name)


@dataclass(frozen=True, slots=True, order=True)
class Hop:
    """One step of a path.

    Attributes:
        table: where it leads.
        key: the column there that is compared; None for the primary key.
        column: what is read there.
    """

    table: TableName
    key: str | None
    column: str

    def __str__(self) -> str:
        key = f"({_shown(self.key)})" if self.key else ""
        return f"{self.table}{key}.{_shown(self.column)}"


@dataclass(frozen=True, slots=True, order=True)
class Reference(_Text):
    """A column, or a path to one.

    Attributes:
        column: of the table that is spoken of.
        hops: the steps from there; none for a column of that table.
    """

    column: str
    hops: tuple[Hop, ...] = ()

    examples = ("film_id", "inventory_id -> public.inventory.film_id")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a column or a path."""
        first, *rest = _ARROW.split(text)
        if not _COLUMN_PATTERN.fullmatch(first):
            raise PydanticCustomError(
                "reference",
                "{text} is neither a column nor a path (column -> schema.table.column); SQL is not possible"
                " here,"
                " a view is",
                {"text": text},
            )
        hops = []
        for part in rest:
            match = _HOP_PATTERN.fullmatch(part)
            if not match:
                raise PydanticCustomError(
                    "reference",
                    "{part} must be schema.table.column in the path {text}",
                    {"part": part, "text": text},
                )
            key = match["key"]
            hops.append(
                Hop(TableName.parse(match["table"]), _bare(key) if key else None, _bare(match["column"]))
            )
        return cls(_bare(first), tuple(hops))

    @property
    def is_path(self) -> bool:
        """Whether another table is read."""
        return bool(self.hops)

    def __str__(self) -> str:
        return " -> ".join((_shown(self.column), *map(str, self.hops)))
