"""The queries that read what a description names; also the bodies of the functions in the source.

Each returns the columns of one of the staging tables, in their order. What is dropped is not in them, and
what is masked is masked by them.
"""

from dataclasses import dataclass

from dataflix_source.description.model import (
    ITEM_COLUMNS,
    PERSON_ATTRIBUTES,
    CategoryTable,
    Described,
    Description,
    Events,
    Items,
    People,
    Repeats,
    Scale,
    SplitText,
    Thumbs,
)
from dataflix_source.description.references import Reference, TableName, literal, quoted
from dataflix_source.errors import RefusedError
from dataflix_source.looking.catalog import ZONELESS_TYPES, Catalog, Column, Table

# The times that our tables and the warehouse can hold.
_FIRST, _LAST = "'1900-01-01 00:00:00+00'", "'2299-12-31 23:59:59.999999+00'"

STAGED = {
    "people": (
        ("source_key", "text"),
        ("joined_at", "timestamptz"),
        *((name, "smallint" if name == "birth_year" else "text") for name in PERSON_ATTRIBUTES),
    ),
    "items": (
        ("source_key", "text"),
        ("title", "text"),
        ("genres", "text[]"),
        ("release_year", "smallint"),
        ("director", "text"),
        ("duration_minutes", "smallint"),
        ("description", "text"),
        ("attributes", "jsonb"),
        ("available_since", "timestamptz"),
    ),
    "events": (
        ("person_key", "text"),
        ("item_key", "text"),
        ("kind", "text"),
        ("events_count", "bigint"),
        ("first_at", "timestamptz"),
        ("last_at", "timestamptz"),
        ("rating", "real"),
        ("liked", "boolean"),
    ),
}


@dataclass(frozen=True)
class Query:
    """A query of one entity.

    Attributes:
        entity: people, items, or events.0, events.1 and so on.
        select: everything; `{restriction}` stands where a further condition may be.
        restriction: the condition that keeps rows whose unit is among the texts of the array `keys`.
        changed: SQL for the time of the last change of a row; None if the description names none.
        unit: SQL for the key of the row's unit: a person of events, else the row itself.
        from_clause: the tables that are joined.
    """

    entity: str
    select: str
    restriction: str
    changed: str | None
    unit: str
    from_clause: str

    @property
    def everything(self) -> str:
        """The query of all rows."""
        return self.select.replace("{restriction}", "true")

    def of_keys(self, keys: str) -> str:
        """Return the query of the units whose keys are in a text array."""
        return self.select.replace("{restriction}", self.restriction.replace("{keys}", keys))


class _Joined:
    """A table with the tables that paths lead to, each joined once."""

    def __init__(self, catalog: Catalog, table: TableName, alias: str = "t") -> None:
        self._catalog = catalog
        self.table = found(catalog, table)
        self._alias = alias
        self._joins: dict[str, tuple[str, str]] = {}

    def value(self, reference: Reference) -> tuple[str, Column]:
        """Return SQL for the value, and the column that it comes from."""
        alias, table, name = self._alias, self.table, reference.column
        path = name
        for hop in reference.hops:
            target = found(self._catalog, hop.table)
            key = self._catalog.hop_key(hop)
            if key is None:
                raise RefusedError(f"{hop.table} has no key of one column that {reference} could follow.")
            path += f"->{hop.table}({key})"
            if path not in self._joins:
                new = f"{self._alias}{len(self._joins) + 1}"
                on = f"{new}.{quoted(key)} = {alias}.{quoted(name)}"
                self._joins[path] = (new, f"LEFT JOIN {hop.table.sql} AS {new} ON {on}")
            alias, table, name = self._joins[path][0], target, hop.column
            path += f".{name}"
        return f"{alias}.{quoted(name)}", _column(table, name, reference)

    @property
    def sql(self) -> str:
        """What stands after FROM."""
        return " ".join(
            (f"{self.table.name.sql} AS {self._alias}", *(join for _, join in self._joins.values()))
        )


def found(catalog: Catalog, name: TableName) -> Table:
    """Return a table.

    Raises:
        RefusedError: there is none of this name.
    """
    table = catalog.find(name)
    if table is None:
        raise RefusedError(f"The source has no table or view {name}. `./run.sh source check` says more.")
    return table


def _column(table: Table, name: str, reference: Reference) -> Column:
    column = table.columns.get(name)
    if column is None:
        raise RefusedError(
            f"{table.name} has no column {name} ({reference}). `./run.sh source check` says more."
        )
    return column


def time(value: str, column: Column, zone: str | None) -> str:
    """Return SQL for a moment.

    Raises:
        RefusedError: the time has no zone and the description names none, or it is no time.
    """
    if column.type == "timestamptz":
        return value
    if column.type not in ZONELESS_TYPES:
        raise RefusedError(f"{column.name} is {column.shown_type} and no time.")
    if zone is None:
        raise RefusedError(f"{column.name} has no time zone, and the description names none (time_zone).")
    return f"{value}::timestamp AT TIME ZONE {literal(zone)}"


def _in_range(moment: str) -> str:
    return f"CASE WHEN {moment} BETWEEN {_FIRST} AND {_LAST} THEN {moment} END"


def visible(described: Described, table: Table) -> str:
    """Return the condition of the rows that exist for us."""
    if described.hidden is None:
        return "true"
    column = table.columns.get(described.hidden.name)
    value = f"t.{quoted(described.hidden.name)}"
    return f"{value} IS NOT TRUE" if column is not None and column.type == "bool" else f"{value} IS NULL"


def _restricted(value: str, column: Column) -> str:
    # The keys come as the texts of id_text; compared in the column's own type, so that an index can be used.
    if column.type in ("citext", "numeric"):
        return f"{column.id_text(value)} = ANY({{keys}})"
    types = {"int2": "smallint", "int4": "integer", "int8": "bigint", "varchar": "text", "bpchar": "bpchar"}
    return f"{value} = ANY({{keys}}::{types.get(column.type, column.type)}[])"


def _changed(described: Described, joined: _Joined, zone: str | None) -> str | None:
    if described.changed is None:
        return None
    value, column = joined.value(Reference(described.changed.name))
    return time(value, column, zone)


def build(description: Description, catalog: Catalog) -> dict[str, Query]:
    """Return the queries of a description, by entity.

    Raises:
        RefusedError: the source lacks a table or column, or a time has no zone.
    """
    queries = {
        "people": _people(description, description.people, catalog),
        "items": _items(description, description.items, catalog),
    }
    for number, events in enumerate(description.events):
        queries[f"events.{number}"] = _events(description, events, catalog, f"events.{number}")
    return queries


def _people(description: Description, people: People, catalog: Catalog) -> Query:
    joined = _Joined(catalog, people.table)
    zone = description.zone(people)
    key, key_column = joined.value(Reference(people.id.name))
    columns = [key_column.id_text(key), _moment(joined, people.joined, zone)]
    for name in PERSON_ATTRIBUTES:
        reference = people.attributes.get(name)  # type: ignore[call-overload]
        columns.append(_attribute_of_person(joined, name, reference))
    return _query("people", columns, joined, people, zone)


def _query(
    entity: str,
    columns: list[str],
    joined: _Joined,
    described: People | Items,
    zone: str | None,
) -> Query:
    key, key_column = joined.value(Reference(described.id.name))
    staged = STAGED[entity]
    shown = ", ".join(
        f"({value})::{kind} AS {name}" for value, (name, kind) in zip(columns, staged, strict=True)
    )
    changed = _changed(described, joined, zone)
    select = (
        f"SELECT {shown} FROM {joined.sql} WHERE {key} IS NOT NULL AND {visible(described, joined.table)}"
        " AND {restriction}"
    )
    return Query(entity, select, _restricted(key, key_column), changed, key_column.id_text(key), joined.sql)


def _attribute_of_person(joined: _Joined, name: str, reference: Reference | None) -> str:
    if reference is None:
        return "NULL"
    value, column = joined.value(reference)
    match PERSON_ATTRIBUTES[name]:
        case "initial":
            # Of a name of one or two letters the first one says too much.
            text = f"btrim({value}::text)"
            return f"CASE WHEN char_length({text}) >= 3 THEN left({text}, 1) || '***' END"
        case "year":
            year = (
                f"extract(YEAR FROM {value})"
                if column.type in ("date", "timestamp", "timestamptz")
                else value
            )
            return f"CASE WHEN {year} BETWEEN 1900 AND 2100 THEN {year} END"
        case "place":
            return f"nullif(left(btrim({value}::text), 100), '')"
        case _:
            return f"nullif(btrim({value}::text), '')"


def _moment(joined: _Joined, reference: Reference | None, zone: str | None) -> str:
    if reference is None:
        return "NULL"
    return _in_range(time(*joined.value(reference), zone))


def _items(description: Description, items: Items, catalog: Catalog) -> Query:
    joined = _Joined(catalog, items.table)
    zone = description.zone(items)
    key, key_column = joined.value(Reference(items.id.name))
    own = {
        name: joined.value(reference) for name, reference in items.attributes.items() if name in ITEM_COLUMNS
    }
    others = {
        name: joined.value(reference)
        for name, reference in items.attributes.items()
        if name not in ITEM_COLUMNS
    }
    title = f"btrim({joined.value(items.name)[0]}::text)"
    pairs = ", ".join(
        f"{literal(name)}, {_attribute_of_item(value, column)}" for name, (value, column) in others.items()
    )
    columns = [
        key_column.id_text(key),
        # Our titles have 1 to 500 characters.
        f"coalesce(nullif(left({title}, 500), ''), {key_column.id_text(key)})",
        _categories(joined, items, catalog, key),
        _number_in(own.get("release_year"), 1870, 2100),
        _text(own.get("director")),
        _number_in(own.get("duration_minutes"), 1, 32_767),
        _text(own.get("description")),
        f"jsonb_strip_nulls(jsonb_build_object({pairs}))",
        _moment(joined, items.available_since, zone),
    ]
    return _query("items", columns, joined, items, zone)


def _attribute_of_item(value: str, column: Column) -> str:
    if column.type == "bpchar" and not column.is_array:
        return f"rtrim({value})"
    if column.type == "money":
        # As a text it would have the signs of the server's locale, and no range would find it.
        return f"{value}::numeric{'[]' if column.is_array else ''}"
    return value


def _number_in(value: tuple[str, Column] | None, low: int, high: int) -> str:
    if value is None:
        return "NULL"
    text, column = value
    number = f"extract(YEAR FROM {text})" if column.type in ("date", "timestamp", "timestamptz") else text
    return f"CASE WHEN {number} BETWEEN {low} AND {high} THEN {number} END"


def _text(value: tuple[str, Column] | None) -> str:
    if value is None:
        return "NULL"
    text, column = value
    return f"array_to_string({text}, ', ')" if column.is_array else f"nullif(btrim({text}::text), '')"


def _categories(joined: _Joined, items: Items, catalog: Catalog, key: str) -> str:
    said = items.categories
    if said is None:
        return "'{}'"
    if isinstance(said, CategoryTable):
        own = _Joined(catalog, said.table, alias="c")
        name = own.value(said.name)[0]
        item = own.value(Reference(said.item.name))[0]
        return (
            f"ARRAY(SELECT DISTINCT btrim({name}::text) FROM {own.sql}"
            f" WHERE {item} = {key} AND btrim({name}::text) <> '' ORDER BY 1)"
        )
    if isinstance(said, SplitText):
        text = joined.value(said.column)[0]
        parts = f"string_to_array({text}::text, {literal(said.separator)})"
    else:
        text, column = joined.value(said)
        parts = text if column.is_array else f"ARRAY[{text}::text]"
    return (
        f"ARRAY(SELECT DISTINCT btrim(p.part::text) FROM unnest({parts}) AS p (part)"
        " WHERE btrim(p.part::text) <> '' ORDER BY 1)"
    )


def _events(description: Description, events: Events, catalog: Catalog, entity: str) -> Query:
    joined = _Joined(catalog, events.table)
    zone = description.zone(events)
    person, person_column = joined.value(events.person)
    item, item_column = joined.value(events.item)
    moment = time(*joined.value(events.time), zone)
    person_key, item_key = person_column.id_text(person), item_column.id_text(item)
    rating, liked = opinion(joined, events)
    conditions = [
        f"{person} IS NOT NULL",
        f"{item} IS NOT NULL",
        f"{moment} BETWEEN {_FIRST} AND {_LAST}",
        visible(events, joined.table),
    ]
    if events.kinds:
        kind_value, _ = joined.value(Reference(events.kinds.column.name))
        kind = f"{kind_value}::text"
        conditions.append(f"{kind} IN ({', '.join(map(literal, events.kinds.weights))})")
    else:
        kind = literal(str(events.kind))
    if events.is_opinion:
        conditions.append(f"({rating}) IS NOT NULL")
    latest = "(array_agg({value} ORDER BY " + moment + " DESC))[1]"
    columns = [
        person_key,
        item_key,
        kind,
        _count(events.repeats, moment, zone),
        f"min({moment})",
        f"max({moment})",
        latest.format(value=f"({rating})") if events.is_opinion else "NULL",
        latest.format(value=f"({liked})") if events.thumbs else "NULL",
    ]
    shown = ", ".join(
        f"({value})::{kind_of} AS {name}"
        for value, (name, kind_of) in zip(columns, STAGED["events"], strict=True)
    )
    changed = _changed(events, joined, zone)
    group = ", ".join((person_key, item_key, *([kind] if events.kinds else [])))
    where = " AND ".join([*conditions, "{restriction}"])
    select = f"SELECT {shown} FROM {joined.sql} WHERE {where} GROUP BY {group}"
    return Query(entity, select, _restricted(person, person_column), changed, person_key, joined.sql)


def _count(repeats: Repeats, moment: str, zone: str | None) -> str:
    match repeats:
        case Repeats.ONCE:
            return "1"
        case Repeats.DAILY:
            return f"count(DISTINCT ({moment} AT TIME ZONE {literal(zone or 'UTC')})::date)"
        case Repeats.EVERY:
            return "count(*)"


def opinion(joined: _Joined, events: Events) -> tuple[str, str]:
    """Return SQL for our stars, and for our thumb, of an event; NULL for a value that is none."""
    if events.scale:
        value, _ = joined.value(Reference(events.scale.column.name))
        return _stars(value, events.scale), "NULL"
    if events.thumbs:
        value, _ = joined.value(Reference(events.thumbs.column.name))
        return _thumb(value, events.thumbs)
    return "NULL", "NULL"


def _stars(value: str, scale: Scale) -> str:
    # A scale from above 0 keeps its meaning: 4 of 5 are four stars, 8 of 10 as well. Others are spread.
    if scale.min > 0:
        stars = f"{value}::numeric * 5 / {scale.max!r}"
    else:
        stars = f"0.5 + ({value}::numeric - ({scale.min!r})) * 4.5 / {scale.max - scale.min!r}"
    return (
        f"CASE WHEN {value} BETWEEN {scale.min!r} AND {scale.max!r}"
        f" THEN least(greatest(round(2 * ({stars})) / 2, 0.5), 5) END"
    )


def _thumb(value: str, thumbs: Thumbs) -> tuple[str, str]:
    text = f"lower({value}::text)"
    up = ", ".join(literal(word.lower()) for word in thumbs.up)
    down = ", ".join(literal(word.lower()) for word in thumbs.down)
    is_down = f"{text} IN ({down})" if down else "false"
    # Our ratings have stars: four for a thumb up, one and a half for one down.
    stars = f"CASE WHEN {text} IN ({up}) THEN 4 WHEN {is_down} THEN 1.5 END"
    return stars, f"CASE WHEN {text} IN ({up}) THEN true WHEN {is_down} THEN false END"
