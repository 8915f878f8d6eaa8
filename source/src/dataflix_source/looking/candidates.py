"""Guesses which tables have people, items and events, from names, keys and types."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dataflix_source.description.references import Hop, Reference
from dataflix_source.looking.catalog import ID_TYPES, NUMBER_TYPES, TIME_TYPES, Catalog, Column, Table
from dataflix_source.looking.personal import Part, by_name

_PEOPLE = frozenset(
    [
        "account",
        "customer",
        "user",
        "person",
        "people",
        "member",
        "client",
        "patron",
        "subscriber",
        "profile",
        "patient",
        "student",
        "reader",
        "visitor",
        "guest",
        "player",
        "listener",
        "viewer",
        "buyer",
    ]
)
_NOT_THESE_PEOPLE = frozenset(
    [
        "staff",
        "employee",
        "admin",
        "supplier",
        "vendor",
        "actor",
        "author",
        "artist",
        "store",
        "address",
        "contact",
    ]
)
_ITEMS = frozenset(
    [
        "film",
        "movie",
        "product",
        "item",
        "article",
        "book",
        "song",
        "track",
        "album",
        "game",
        "recipe",
        "course",
        "listing",
        "offer",
        "hotel",
        "property",
        "job",
        "video",
        "show",
        "episode",
        "title",
        "podcast",
        "restaurant",
        "place",
        "event_",
        "ticket",
    ]
)
_NAMES = ("title", "name", "label", "headline", "display_name", "product_name", "item_name")
_NO_EVENT_TIME = frozenset(
    [
        "update",
        "updated",
        "modified",
        "changed",
        "delete",
        "deleted",
        "return",
        "returned",
        "expire",
        "expires",
        "end",
        "due",
        "last",
    ]
)
_KINDS = frozenset(["type", "kind", "action", "event", "event_type", "event_name", "event_kind", "activity"])
_SCALES = frozenset(["rating", "score", "stars", "points", "grade"])
_THUMBS = frozenset(["liked", "is_liked", "thumb", "thumbs_up", "likes", "is_like"])
_CHANGED = frozenset(
    [
        "updated_at",
        "last_update",
        "last_updated",
        "modified_at",
        "modified",
        "changed_at",
        "updated_on",
        "update_time",
    ]
)
_JOINED = frozenset(
    [
        "created_at",
        "joined",
        "registered",
        "registered_at",
        "create_date",
        "created",
        "joined_at",
        "signup_date",
        "signed_up_at",
    ]
)
_HIDDEN = frozenset(["deleted_at", "is_deleted", "deleted", "removed_at"])
_SINCE = frozenset(["listed_at", "available_since", "released_at", "published_at", "available_from"])
_MAX_EVENT_TABLES = 5


def _snake(name: str) -> str:
    """Return a name as most databases write it: `created_at` for `createdAt` and `Created At`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def words(name: str) -> set[str]:
    """Return the words of a name, each also without the ending of a plural."""
    return {form for word in _snake(name).split("_") if word for form in (word, singular(word))}


def singular(word: str) -> str:
    """Return a word without the ending of a plural."""
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def named(table: Table, names: Iterable[str], types: Iterable[str]) -> str | None:
    """Return the first column that has one of the names and one of the types."""
    wanted, possible = set(names), set(types)
    return next(
        (
            c.name
            for c in table.columns.values()
            if _snake(c.name) in wanted and c.type in possible and not c.is_array
        ),
        None,
    )


def name_column(table: Table) -> str | None:
    """Return the column with the name of what a row stands for."""
    texts = {column.name.lower(): column.name for column in table.columns.values() if column.is_text}
    exact = [texts[name] for name in _NAMES if name in texts]
    own = [texts[f"{word}_name"] for word in sorted(words(table.name.name)) if f"{word}_name" in texts]
    same = [texts[word] for word in sorted(words(table.name.name)) if word in texts]
    return next(iter((*exact, *own, *same)), None)


def key_column(table: Table) -> str | None:
    """Return the column that names a row; of a view, one that looks like it."""
    for key in table.keys:
        if len(key) == 1 and table.columns[key[0]].type in ID_TYPES:
            return key[0]
    if table.keys or not table.is_view:
        return None
    wanted = {"id", *(f"{word}_id" for word in words(table.name.name))}
    return named(table, wanted, ID_TYPES)


@dataclass(frozen=True, slots=True)
class Link:
    """A reference from a table to another one, by a foreign key or by a name that says so.

    Attributes:
        reference: its value is the key of `target`.
        is_sure: whether foreign keys say so.
    """

    reference: Reference
    target: Table
    is_sure: bool


def links(catalog: Catalog, table: Table) -> Iterator[Link]:
    """Yield the tables that a table refers to by one column."""
    seen = set()
    for key in table.foreign_keys:
        target = catalog.find(key.target)
        if len(key.columns) == 1 and target is not None and key.target_columns[0] == key_column(target):
            seen.add(key.columns[0])
            yield Link(Reference(key.columns[0]), target, is_sure=True)
    for column in table.columns.values():
        if column.name in seen or column.type not in ID_TYPES or (column.name,) in table.keys:
            continue
        stem = re.sub(r"_?(id|key|no|number|sku|code|uuid)$", "", column.name.lower())
        if not stem or stem == column.name.lower():
            stem = column.name.lower()
        for target in catalog.tables.values():
            target_key = key_column(target)
            if target is table or target_key is None or target.columns[target_key].type != column.type:
                continue
            if stem in words(target.name.name) or (
                column.name == target_key and column.name.lower() not in ("id", "name")
            ):
                yield Link(Reference(column.name), target, is_sure=False)
                break


def far_links(catalog: Catalog, table: Table) -> list[Link]:
    """Return the links of a table, and those of the tables that it refers to."""
    found = list(links(catalog, table))
    for link in list(found):
        key = catalog.find(link.target.name)
        if key is None or link.target.is_view:
            continue
        for onward in links(catalog, link.target):
            hop = Hop(link.target.name, None, onward.reference.column)
            reference = Reference(link.reference.column, (hop,))
            found.append(Link(reference, onward.target, is_sure=link.is_sure and onward.is_sure))
    return found


def people_score(table: Table) -> float:
    """Return how much a table looks like one of people; above 0 it may be."""
    if key_column(table) is None:
        return 0.0
    name = words(table.name.name)
    reasons = {suspicion.reason for suspicion in by_name(table, Part.PEOPLE, table.columns)} - {
        "its name or type says a person's name"
    }
    score = 4.0 * bool(name & _PEOPLE) + min(len(reasons), 3) - 6.0 * bool(name & _NOT_THESE_PEOPLE)
    return score if name & _PEOPLE or len(reasons) > 1 else 0.0


def item_score(table: Table) -> float:
    """Return how much a table looks like one of items; above 0 it may be."""
    if key_column(table) is None or name_column(table) is None or people_score(table) > 0:
        return 0.0
    name = words(table.name.name)
    plain = 1.0 - 3.0 * bool(name & _NOT_THESE_PEOPLE)
    return plain + 4.0 * bool(name & _ITEMS) + min(2.0, len(table.columns) / 6)


@dataclass(frozen=True, slots=True)
class EventTable:
    """A table whose rows say what a person did with an item, and when."""

    table: Table
    person: Link
    item: Link
    time: str


@dataclass(frozen=True)
class Roles:
    """Which tables have what."""

    people: Table
    items: Table
    events: tuple[EventTable, ...]


def event_time(table: Table) -> str | None:
    """Return the column with the time of an event."""
    times = [c for c in table.columns.values() if c.type in TIME_TYPES and not c.is_array]
    times = [column for column in times if not words(column.name) & _NO_EVENT_TIME]
    times.sort(key=lambda column: (not column.not_null, column.type == "date"))
    return times[0].name if times else None


def find_roles(catalog: Catalog) -> Roles | None:
    """Return the people, items and events that fit together best; None if none do."""
    best: dict[tuple[Table, ...] | tuple[object, object], tuple[float, list[EventTable]]] = {}
    for table in catalog.tables.values():
        time = event_time(table)
        if time is None or table.is_partition or people_score(table) > 0:
            continue
        found = far_links(catalog, table)
        for person in found:
            for item in found:
                score = _pair_score(table, person, item)
                if score <= 0:
                    continue
                pair = (person.target.name, item.target.name)
                known, tables = best.get(pair, (0.0, []))
                if all(other.table is not table for other in tables):
                    tables.append(EventTable(table, person, item, time))
                best[pair] = (max(known, score), tables)
    if not best:
        return None
    score, events = max(best.values(), key=lambda entry: entry[0])
    del score
    events.sort(key=lambda one: (one.table.is_view, -one.table.rows))
    return Roles(events[0].person.target, events[0].item.target, tuple(events[:_MAX_EVENT_TABLES]))


def half_events(catalog: Catalog, roles: Roles) -> list[Table]:
    """Return the tables with a time that refer to people or to items, but not to both; the largest first."""
    proposed = {roles.people.name, roles.items.name, *(one.table.name for one in roles.events)}
    half = []
    for table in catalog.tables.values():
        if table.name in proposed or table.is_view or table.is_partition or event_time(table) is None:
            continue
        targets = {link.target.name for link in links(catalog, table)}
        if len({roles.people.name, roles.items.name} & targets) == 1:
            half.append(table)
    return sorted(half, key=lambda table: -table.rows)


def _pair_score(table: Table, person: Link, item: Link) -> float:
    if person.target is item.target or table in (person.target, item.target):
        return 0.0
    if person.reference.column == item.reference.column and not (
        person.reference.hops and item.reference.hops
    ):
        return 0.0
    of_people, of_items = people_score(person.target), item_score(item.target)
    if of_people <= 0 or of_items <= 0:
        return 0.0
    sure = person.is_sure + item.is_sure
    paths = len(person.reference.hops) + len(item.reference.hops)
    return of_people + of_items + sure - paths + math.log10(max(table.rows, 1))


def kind_column(table: Table) -> str | None:
    """Return the column that says which kind an event is."""
    return next((c.name for c in table.columns.values() if c.is_text and c.name.lower() in _KINDS), None)


def opinion_column(table: Table) -> Column | None:
    """Return the column that says how much somebody likes something: a number, or true and false."""
    for column in table.columns.values():
        name = column.name.lower()
        if name in _SCALES and column.type in NUMBER_TYPES and not column.is_array:
            return column
        if name in _THUMBS and column.type == "bool":
            return column
    return None


def changed_column(table: Table) -> str | None:
    """Return the column with the time of the last change."""
    return named(table, _CHANGED, TIME_TYPES)


def joined_column(table: Table) -> str | None:
    """Return the column with the time from which on a person is there."""
    return named(table, _JOINED, TIME_TYPES)


def since_column(table: Table) -> str | None:
    """Return the column with the time from which on an item is there."""
    return named(table, _SINCE, TIME_TYPES)


def hidden_column(table: Table) -> str | None:
    """Return the column that says that a row was deleted."""
    return named(table, _HIDDEN, TIME_TYPES | {"bool"})
