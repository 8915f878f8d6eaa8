"""Compares a description with the source's catalog; no row is read."""

from collections.abc import Iterable, Iterator

from dataflix_source.description.model import (
    PERSON_ATTRIBUTES,
    CategoryTable,
    CopyMode,
    Described,
    Description,
    Items,
    Masking,
    People,
    SplitText,
)
from dataflix_source.description.references import ColumnName, Reference, TableName, in_file, quoted
from dataflix_source.looking.catalog import (
    ATTRIBUTE_TYPES,
    ID_TYPES,
    NUMBER_TYPES,
    TEXT_TYPES,
    TIME_TYPES,
    ZONELESS_TYPES,
    Catalog,
    Column,
    Table,
)
from dataflix_source.looking.findings import Findings
from dataflix_source.looking.personal import Part, Suspicion, by_name

_NEAREST_SHOWN = 8


def read_columns(described: Described) -> Iterator[tuple[str, Reference]]:
    """Yield what is read of a table, with the places below its own in the file."""
    for name in ("id", "hidden", "changed"):
        column = getattr(described, name, None)
        if isinstance(column, ColumnName):
            yield name, Reference(column.name)
    for name in ("joined", "name", "available_since", "person", "item", "time", "categories"):
        reference = getattr(described, name, None)
        if isinstance(reference, Reference):
            yield name, reference
        elif isinstance(reference, SplitText):
            yield f"{name}.column", reference.column
    for name in ("kinds", "scale", "thumbs"):
        part = getattr(described, name, None)
        if part is not None:
            yield f"{name}.column", Reference(part.column.name)
    for name, reference in getattr(described, "attributes", {}).items():
        yield f"attributes.{name}", reference


def part_of(place: str) -> Part:
    """Return what a described table is for."""
    return Part(place.partition(".")[0])


def check_structure(description: Description, catalog: Catalog, findings: Findings) -> bool:
    """Add what is wrong with tables, columns, keys and types; return whether all that is named exists."""
    complete = True
    for place, described in description.tables():
        table = _table(catalog, described.table, f"{place}.table", findings)
        if table is None:
            complete = False
            continue
        for below, reference in read_columns(described):
            column = _resolve(catalog, table, reference, f"{place}.{below}", findings)
            if column is None:
                complete = False
            else:
                problem = _type_problem(description, described, below, column)
                if problem:
                    findings.problem(f"{place}.{below}", problem)
        if isinstance(described, Items) and isinstance(described.categories, CategoryTable):
            complete &= _check_categories(catalog, described.categories, f"{place}.categories", findings)
        _check_rights(catalog, description, place, findings)
        _check_changes(description, table, described, place, findings)
        for name in described.personal:
            if name.name not in table.columns:
                findings.problem(f"{place}.personal.{name}", f"{table.name} has no column {name}.")
        unnamed(
            findings, place, described, by_name(table, part_of(place), names_to_name(place, described, table))
        )
    if complete:
        _check_same_types(description, catalog, findings)
        _check_paths(description, catalog, findings)
    return complete


def names_to_name(place: str, described: Described, table: Table) -> list[str]:
    """Return the columns that must be named if they are personal: of items, only what is read."""
    if part_of(place) is Part.PEOPLE:
        return list(table.columns)
    read = {reference.column for _, reference in read_columns(described) if not reference.is_path}
    if part_of(place) is Part.EVENTS:
        # What stands beside an event, such as an address on the network, is about the person.
        return list(table.columns)
    return [name for name in table.columns if name in read]


def unnamed(findings: Findings, place: str, described: Described, suspicions: Iterable[Suspicion]) -> None:
    """Add the columns that seem to be personal and are not named."""
    ids = {described.id.name} if isinstance(described, People | Items) else set()
    for suspicion in suspicions:
        if ColumnName(suspicion.column) in described.personal:
            continue
        way = Masking.ID if suspicion.column in ids and isinstance(described, People) else Masking.DROP
        findings.problem(
            f"{place}.personal",
            f"{described.table}.{ColumnName(suspicion.column)} seems to be personal ({suspicion.reason}) and"
            f" is not named: write `{in_file(ColumnName(suspicion.column))}: {way}` under {place}.personal,"
            " or `public` if it is not.",
        )


def _table(catalog: Catalog, name: TableName, place: str, findings: Findings) -> Table | None:
    table = catalog.find(name)
    if table is not None:
        return table
    same = [in_file(other) for other in catalog.tables if other.name.lower() == name.name.lower()]
    near = same or [in_file(other) for other in catalog.tables if other.schema == name.schema]
    known = ", ".join(near[:_NEAREST_SHOWN]) or "none that we can see"
    findings.problem(place, f"There is no table or view {name}; there are {known}.")
    return None


def _resolve(
    catalog: Catalog, table: Table, reference: Reference, place: str, findings: Findings
) -> Column | None:
    column = table.columns.get(reference.column)
    if column is None:
        findings.problem(place, f"{table.name} has no column {ColumnName(reference.column)}; {_has(table)}.")
        return None
    for hop in reference.hops:
        target = _table(catalog, hop.table, place, findings)
        if target is None:
            return None
        key = catalog.hop_key(hop)
        if key is None:
            findings.problem(
                place,
                f"{hop.table} has no key of one column; name the column: {hop.table}(column).{hop.column}.",
            )
            return None
        for name in (key, hop.column):
            if name not in target.columns:
                findings.problem(place, f"{hop.table} has no column {ColumnName(name)}; {_has(target)}.")
                return None
        if not target.is_unique(key):
            findings.problem(
                place,
                f"{hop.table}.{ColumnName(key)} is not unique, so {reference} would lead to several rows.",
            )
        if not _comparable(column, target.columns[key]):
            findings.problem(
                place,
                f"{reference} compares {column.shown_type} with {target.columns[key].shown_type} of"
                f" {hop.table}.",
            )
            return None
        column = target.columns[hop.column]
    return column


def _has(table: Table) -> str:
    return "it has " + ", ".join(in_file(ColumnName(name)) for name in table.columns)


def _comparable(first: Column, second: Column) -> bool:
    families = ({"int2", "int4", "int8", "numeric"}, set(TEXT_TYPES), {"uuid"})
    return not (first.is_array or second.is_array) and any(
        first.type in family and second.type in family for family in families
    )


def _type_problem(description: Description, described: Described, below: str, column: Column) -> str | None:
    """Return what is wrong with the type of a column; None if it fits."""
    shown = f"{ColumnName(column.name)} is {column.shown_type}"
    is_one_of = {
        "id": ID_TYPES,
        "person": ID_TYPES,
        "item": ID_TYPES,
        "joined": TIME_TYPES,
        "available_since": TIME_TYPES,
        "time": TIME_TYPES,
        "changed": TIME_TYPES,
        "scale.column": NUMBER_TYPES,
    }.get(below)
    problem = None
    if is_one_of is not None and (column.type not in is_one_of or column.is_array):
        problem = {
            ID_TYPES: f"{shown}, which can't be an id; these can: {', '.join(sorted(ID_TYPES))}.",
            TIME_TYPES: f"{shown} and no time; a view can convert it.",
            NUMBER_TYPES: f"{shown} and no number.",
        }[is_one_of]
    elif is_one_of is TIME_TYPES and column.type in ZONELESS_TYPES and description.zone(described) is None:
        problem = f"{shown} and has no time zone: write time_zone under source, for instance Europe/Berlin."
    elif below == "name" and not column.is_text:
        problem = f"{shown} and no text."
    elif below.startswith("attributes."):
        problem = _attribute_problem(described, below.partition(".")[2], column, shown)
    return problem


def _attribute_problem(described: Described, name: str, column: Column, shown: str) -> str | None:
    year = NUMBER_TYPES | TIME_TYPES
    wanted = {"birth_year": year, "release_year": year, "duration_minutes": NUMBER_TYPES}.get(name)
    if wanted is not None:
        if column.type not in wanted or column.is_array:
            return f"{shown}, which gives no {name}; these do: {', '.join(sorted(wanted))}."
    elif isinstance(described, People) and name in PERSON_ATTRIBUTES:
        if not column.is_text:
            return f"{shown} and no text."
    elif column.type not in ATTRIBUTE_TYPES and not column.is_enum:
        return f"{shown}, which can't be an attribute: leave it out, or use a view that converts it."
    return None


def _check_categories(catalog: Catalog, said: CategoryTable, place: str, findings: Findings) -> bool:
    table = _table(catalog, said.table, f"{place}.table", findings)
    if table is None:
        return False
    item = _resolve(catalog, table, Reference(said.item.name), f"{place}.item", findings)
    name = _resolve(catalog, table, said.name, f"{place}.name", findings)
    return item is not None and name is not None


def tables_read(description: Description, catalog: Catalog) -> Iterator[tuple[str, TableName, set[str]]]:
    """Yield each table that is read for an entity, with the columns that are read of it."""
    for place, described in description.tables():
        columns: dict[TableName, set[str]] = {described.table: set()}

        def add(table: TableName, reference: Reference, columns: dict[TableName, set[str]] = columns) -> None:
            columns.setdefault(table, set()).add(reference.column)
            for hop in reference.hops:
                columns.setdefault(hop.table, set()).update({hop.column, catalog.hop_key(hop) or hop.column})

        for _, reference in read_columns(described):
            add(described.table, reference)
        if isinstance(described, Items) and isinstance(described.categories, CategoryTable):
            add(described.categories.table, Reference(described.categories.item.name))
            add(described.categories.table, described.categories.name)
        for table, names in columns.items():
            yield place, table, names


def _check_rights(catalog: Catalog, description: Description, place: str, findings: Findings) -> None:
    by_functions = description.source.copy_mode is CopyMode.TRIGGERS
    for other_place, name, columns in tables_read(description, catalog):
        other = catalog.find(name)
        if other_place != place or other is None:
            continue
        if other.hides_rows:
            findings.problem(
                f"{place}.table",
                f"Policies (row-level security) hide rows of {name} from our role; hidden people would look"
                f" like deleted"
                " ones. Use a role with BYPASSRLS, or a view of its owner.",
            )
        if not other.can_read(columns) and not by_functions:
            findings.problem(
                f"{place}.table", f"Our role may not read {name}: {_grants(catalog, other, columns)}"
            )


def _grants(catalog: Catalog, table: Table, columns: set[str]) -> str:
    """Return the statements that let our role read columns; names may be words of SQL, so all are quoted."""
    role = quoted(catalog.role)
    names = ", ".join(
        quoted(name) for name in sorted(columns) if name in table.columns and not table.columns[name].can_read
    )
    schema = f"GRANT USAGE ON SCHEMA {quoted(table.name.schema)} TO {role}; "
    return f"{'' if table.in_open_schema else schema}GRANT SELECT ({names}) ON {table.name.sql} TO {role};"


def _check_changes(
    description: Description, table: Table, described: Described, place: str, findings: Findings
) -> None:
    mode = description.source.copy_mode
    if mode is CopyMode.UPDATED_AT and described.changed is None:
        findings.problem(
            place,
            f"copy: updated_at needs the time of the last change of {table.name}: write changed: column.",
        )
    if mode is CopyMode.TRIGGERS:
        if table.kind not in ("r", "p"):
            findings.problem(
                f"{place}.table",
                f"{table.name} is {'a view' if table.is_view else 'a foreign table'}, which has no triggers:"
                f" name its"
                " tables, or write copy: compare under source.",
            )
        elif table.kind == "r" and (table.has_children or table.is_partition):
            findings.problem(
                f"{place}.table",
                f"{table.name} inherits or is inherited from; its triggers miss what happens to the others."
                f" Name the"
                " partitioned table itself, or write copy: compare under source.",
            )
        elif table.kind == "p":
            findings.note(
                f"{place}.table",
                f"{table.name} has partitions. TRUNCATE, DETACH and DROP of one of them fire no trigger; the"
                f" daily"
                " comparison sees what they removed.",
            )


def _check_same_types(description: Description, catalog: Catalog, findings: Findings) -> None:
    for place, described in description.tables():
        for below, target in (("person", description.people), ("item", description.items)):
            reference = getattr(described, below, None)
            if not isinstance(reference, Reference):
                continue
            table, id_table = catalog.find(described.table), catalog.find(target.table)
            if table is None or id_table is None:
                continue
            column, id_column = catalog.column(table, reference), id_table.columns[target.id.name]
            if column is not None and not _comparable(column, id_column):
                findings.problem(
                    f"{place}.{below}",
                    f"{reference} is {column.shown_type}, but {target.table}.{target.id} is"
                    f" {id_column.shown_type}.",
                )


def _check_paths(description: Description, catalog: Catalog, findings: Findings) -> None:
    """Columns at the ends of paths are personal, too, if they are copied as they are."""
    for place, described in description.tables():
        for below, reference in read_columns(described):
            name = below.partition(".")[2]
            if not reference.is_path or (isinstance(described, People) and name in PERSON_ATTRIBUTES):
                # An attribute of a person is masked, whatever it comes from.
                continue
            end = reference.hops[-1]
            table = catalog.find(end.table)
            if table is None:
                continue
            for suspicion in by_name(table, Part.ITEMS, [end.column]):
                findings.problem(
                    f"{place}.{below}",
                    f"{end} seems to be personal ({suspicion.reason}) and would be copied as it is: leave it"
                    f" out.",
                )
