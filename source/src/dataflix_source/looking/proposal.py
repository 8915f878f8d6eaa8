"""Proposes a description of a database: what `dataflix-source inspect` prints."""

import math
import re
from collections.abc import Iterator

from dataflix_source.client import Session
from dataflix_source.description.model import PERSON_ATTRIBUTES, CopyMode
from dataflix_source.description.references import (
    ColumnName,
    Hop,
    Reference,
    in_file,
    quoted,
    yaml_text,
)
from dataflix_source.description.yaml_file import parse_description
from dataflix_source.errors import RefusedError
from dataflix_source.looking import candidates
from dataflix_source.looking.candidates import EventTable, Roles, key_column, links, name_column, words
from dataflix_source.looking.catalog import (
    ATTRIBUTE_TYPES,
    TIME_TYPES,
    ZONELESS_TYPES,
    Catalog,
    Table,
    read_catalog,
)
from dataflix_source.looking.check import check_source
from dataflix_source.looking.findings import Severity
from dataflix_source.looking.personal import Part, Suspicion, by_look, by_name, sample
from dataflix_source.settings import SourceSettings

_CATEGORY_WORDS = frozenset(
    ["category", "genre", "department", "tag", "topic", "section", "group", "type", "kind"]
)
_OWN_COLUMNS = {
    "release_year": ("release_year", "year"),
    "duration_minutes": ("duration_minutes", "length", "runtime", "minutes", "duration"),
    "director": ("director",),
    "description": ("description", "summary", "overview", "synopsis"),
}
# What these words of a kind say of its weight: how much work, or money, it took.
_WEIGHTS = (
    # First, since these stand beside the others: `remove_from_cart`, `order_cancelled`.
    (("return", "refund", "cancel", "remove", "dislike", "unlike", "skip", "hide", "unsubscribe"), -0.5),
    (("purchase", "buy", "order", "paid", "checkout", "subscribe"), 1.5),
    (("rent", "borrow", "book", "play", "watch", "listen", "complete", "finish", "download"), 1.0),
    (("cart", "basket", "wish", "favourite", "favorite", "save", "share", "follow"), 0.6),
    (("click", "view", "visit", "impression", "open", "search"), 0.2),
)
# So that a reason reads well.
_KIND_HINT = "a verb's past reads best: rented, bought"
_MAX_KINDS = 20
_MAX_ATTRIBUTES = 12
_MAX_HALF_EVENTS = 5
_NO_ATTRIBUTE = frozenset(
    [
        "update",
        "updated",
        "modified",
        "created",
        "deleted",
        "stock",
        "sort",
        "position",
        "path",
        "url",
        "slug",
        "image",
        "thumbnail",
    ]
)


def propose(session: Session, settings: SourceSettings) -> tuple[str, list[str]]:
    """Look at a source and propose its description.

    Returns:
        The text of the file, and what a person should know.

    Raises:
        RefusedError: no table looks like one of events of people with items.
    """
    catalog = read_catalog(session)
    roles = candidates.find_roles(catalog)
    if roles is None:
        raise RefusedError(_why_none(catalog))
    text = "\n".join(_Proposal(session, settings, catalog, roles).lines()) + "\n"
    file = parse_description(text, "the proposal")
    _, findings = check_source(session, settings, file.description)
    notes = [
        f"{finding.severity}: {finding.place}: {finding.text}"
        for finding in sorted(findings.all, key=lambda one: one.severity is Severity.NOTE)
    ]
    return text, notes


def _why_none(catalog: Catalog) -> str:
    def best(scores: Iterator[tuple[float, Table]]) -> str:
        found = sorted(((score, str(table.name)) for score, table in scores if score > 0), reverse=True)
        return ", ".join(name for _, name in found[:3]) or "none"

    tables = catalog.tables.values()
    people = best((candidates.people_score(table), table) for table in tables)
    items = best((candidates.item_score(table), table) for table in tables)
    return (
        f"Of {len(catalog.tables)} tables and views that our role can see, none has a time and refers to"
        f" people and to"
        f" items. Tables like people: {people}; like items: {items}. Write dataflix.yml by hand, with a view"
        f" if need be:"
        " docs/your-own-database.md."
    )


class _Proposal:
    def __init__(self, session: Session, settings: SourceSettings, catalog: Catalog, roles: Roles) -> None:
        self._session, self._settings = session, settings
        self._catalog, self._roles = catalog, roles

    def lines(self) -> Iterator[str]:
        roles = self._roles
        body = [*self._people(), "", *self._items(), "", "events:"]
        for events in roles.events:
            body += self._events(events)
        if others := candidates.half_events(self._catalog, roles)[:_MAX_HALF_EVENTS]:
            body += [
                "# Not proposed, as no key says that they have both a person and an item; add what has:",
                f"# {', '.join(in_file(table.name) for table in others)}",
            ]
        yield f"# Proposed by ./run.sh source inspect for {self._settings.dbname}."
        yield "# Read every line: names and samples can mislead."
        yield "version: 1"
        yield ""
        yield "source:"
        yield f"  name: {_slug(self._settings.dbname)}"
        yield f"  copy: {self._mode()}"
        if zone := self._zone():
            yield f"  time_zone: {zone}    # the server's own; is it that of the times without a zone?"
        yield ""
        people, items = (
            re.sub(r"[^a-z]+", " ", table.name.name.lower()).strip() for table in (roles.people, roles.items)
        )
        one_item, one_person = candidates.singular(items), candidates.singular(people)
        yield (
            f"words: {{item: {one_item}, items: {_plural(one_item)}, "
            f"person: {one_person}, people: {_plural(one_person)}}}"
        )
        yield ""
        yield from body

    def _tables(self) -> list[Table]:
        return [self._roles.people, self._roles.items, *(events.table for events in self._roles.events)]

    def _mode(self) -> CopyMode:
        tables = self._tables()
        standby = self._session.value("SELECT pg_is_in_recovery()")
        if not standby and all(
            table.kind in ("r", "p") and table.is_ours and not table.has_children for table in tables
        ):
            return CopyMode.TRIGGERS
        may_replicate = self._session.value(
            "SELECT current_setting('wal_level') = 'logical'"
            " AND (SELECT rolreplication FROM pg_roles WHERE rolname = current_user)"
        )
        if not standby and may_replicate and all(t.kind in ("r", "p") and t.is_logged for t in tables):
            return CopyMode.REPLICATION
        if all(candidates.changed_column(table) for table in tables):
            return CopyMode.UPDATED_AT
        return CopyMode.COMPARE

    def _zone(self) -> str | None:
        used = [self._roles.people.columns.get(candidates.joined_column(self._roles.people) or "")]
        used += [table.columns.get(candidates.changed_column(table) or "") for table in self._tables()]
        used += [events.table.columns[events.time] for events in self._roles.events]
        if not any(column is not None and column.type in ZONELESS_TYPES for column in used):
            return None
        zone = str(self._session.value("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'"))
        return "UTC" if zone in ("Etc/UTC", "GMT", "localtime") else zone

    def _suspicions(self, table: Table, part: Part, names: list[str]) -> list[Suspicion]:
        found = by_name(table, part, names)
        readable = [name for name in names if table.columns[name].can_read]
        known = {suspicion.column for suspicion in found}
        return found + [one for one in by_look(self._session, table, readable) if one.column not in known]

    def _common(self, table: Table) -> Iterator[str]:
        if changed := candidates.changed_column(table):
            yield f"changed: {in_file(ColumnName(changed))}"
        if hidden := candidates.hidden_column(table):
            column = in_file(ColumnName(hidden))
            yield f"hidden: {column}    # a row with true or a time here counts as deleted"

    def _people(self) -> Iterator[str]:
        table = self._roles.people
        key = key_column(table) or ""
        yield "people:"
        yield f"  table: {in_file(table.name)}"
        yield f"  id: {in_file(ColumnName(key))}"
        if joined := candidates.joined_column(table):
            yield f"  joined: {in_file(ColumnName(joined))}"
        yield from (f"  {line}" for line in self._common(table))
        suspicions = self._suspicions(table, Part.PEOPLE, list(table.columns))
        if suspicions:
            yield "  # To know more of people, name these under attributes and mask them here:"
            yield f"  # {', '.join(PERSON_ATTRIBUTES)}."
            yield "  personal:"
        for one in suspicions:
            word = "id" if one.column == key else "drop"
            yield f"    {in_file(ColumnName(one.column))}: {word}    # {one.reason}"

    def _items(self) -> Iterator[str]:
        table = self._roles.items
        key, name = key_column(table) or "", name_column(table) or ""
        yield "items:"
        yield f"  table: {in_file(table.name)}"
        yield f"  id: {in_file(ColumnName(key))}"
        yield f"  name: {in_file(ColumnName(name))}"
        yield from (f"  {line}" for line in self._common(table))
        if since := candidates.since_column(table):
            yield f"  available_since: {in_file(ColumnName(since))}"
        used, categories = self._categories(table)
        yield from (f"  {line}" for line in categories)
        attributes = dict(self._attributes(table, {key, name, used}))
        personal = {
            one.column for one in self._suspicions(table, Part.ITEMS, [r.column for r in attributes.values()])
        }
        attributes = {attribute: r for attribute, r in attributes.items() if r.column not in personal}
        if attributes:
            yield "  attributes:"
        for attribute, reference in attributes.items():
            yield f"    {attribute}: {in_file(reference)}"

    def _categories(self, table: Table) -> tuple[str, list[str]]:
        for column in table.columns.values():
            if (
                column.is_array
                and column.type in ("text", "varchar")
                and words(column.name) & _CATEGORY_WORDS
            ):
                return column.name, [f"categories: {in_file(ColumnName(column.name))}"]
        for link in links(self._catalog, table):
            name = name_column(link.target)
            if name and words(link.target.name.name) & _CATEGORY_WORDS:
                reference = Reference(link.reference.column, (Hop(link.target.name, None, name),))
                return link.reference.column, [f"categories: {in_file(reference)}"]
        for other in self._catalog.tables.values():
            found = list(links(self._catalog, other))
            to_items = [link for link in found if link.target is table]
            to_names = [
                link
                for link in found
                if words(link.target.name.name) & _CATEGORY_WORDS and name_column(link.target)
            ]
            if to_items and to_names and not other.is_view:
                target = to_names[0].target
                hop = Hop(target.name, None, name_column(target) or "")
                name_reference = Reference(to_names[0].reference.column, (hop,))
                return "", [
                    "categories:",
                    f"  table: {in_file(other.name)}",
                    f"  item: {in_file(to_items[0].reference)}",
                    f"  name: {in_file(name_reference)}",
                ]
        for column in table.columns.values():
            if column.is_text and words(column.name) & _CATEGORY_WORDS:
                return column.name, [f"categories: {in_file(ColumnName(column.name))}"]
        return "", []

    def _attributes(self, table: Table, used: set[str]) -> Iterator[tuple[str, Reference]]:
        taken = set()
        for attribute, names in _OWN_COLUMNS.items():
            types = (
                ("text", "varchar")
                if attribute in ("director", "description")
                else ("int2", "int4", "int8", "numeric")
            )
            if (found := candidates.named(table, names, types)) and found not in used:
                taken.add(found)
                yield attribute, Reference(found)
        lookups = {link.reference.column: link.target for link in links(self._catalog, table)}
        count = 0
        for column in table.columns.values():
            unwanted = (
                column.name in used | taken or words(column.name) & _NO_ATTRIBUTE or count >= _MAX_ATTRIBUTES
            )
            if unwanted or (column.type in TIME_TYPES and not column.is_array):
                continue
            if target := lookups.get(column.name):
                if name := name_column(target):
                    count += 1
                    yield _slug(target.name.name), Reference(column.name, (Hop(target.name, None, name),))
            elif (column.type in ATTRIBUTE_TYPES or column.is_enum) and column.type not in ("json", "jsonb"):
                count += 1
                yield _slug(column.name), Reference(column.name)

    def _events(self, events: EventTable) -> Iterator[str]:
        table = events.table
        kinds = self._kinds(table)
        opinion = candidates.opinion_column(table)
        if opinion is not None:
            yield f"  - kind: {_slug(candidates.singular(table.name.name.lower()))}    # {_KIND_HINT}"
        elif kinds:
            yield "  - kinds:"
            yield f"      column: {in_file(ColumnName(candidates.kind_column(table) or ''))}"
            yield "      # Guessed from the words. How much does each say that the person likes the item?"
            yield "      weights:"
            for kind in kinds:
                yield f"        {yaml_text(kind)}: {_weight(kind)}"
        else:
            yield f"  - kind: {_slug(candidates.singular(table.name.name.lower()))}    # {_KIND_HINT}"
            yield f"    weight: {_weight(table.name.name)}    # for comparison: 3 stars weigh 1, 5 stars 3"
        yield f"    table: {in_file(table.name)}"
        for below, link in (("person", events.person), ("item", events.item)):
            unsure = "" if link.is_sure else "    # no foreign key says so"
            yield f"    {below}: {in_file(link.reference)}{unsure}"
        yield f"    time: {in_file(ColumnName(events.time))}"
        if opinion is not None and opinion.type == "bool":
            column = in_file(ColumnName(opinion.name))
            yield f"    thumbs: {{column: {column}, up: ['true'], down: ['false']}}"
        elif opinion is not None:
            low, high = self._scale(table, opinion.name)
            column = in_file(ColumnName(opinion.name))
            yield f"    scale: {{column: {column}, min: {low:g}, max: {high:g}}}    # from a sample"
        elif kinds:
            yield "    repeats: daily"
        yield from (f"    {line}" for line in self._common(table))
        suspicions = self._suspicions(table, Part.EVENTS, list(table.columns))
        if suspicions:
            yield "    personal:"
        for one in suspicions:
            yield f"      {in_file(ColumnName(one.column))}: drop    # {one.reason}"

    def _kinds(self, table: Table) -> list[str]:
        column = candidates.kind_column(table)
        if column is None or not table.columns[column].can_read:
            return []
        # All rows: a kind that a sample misses would have no weight.
        rows = self._session.rows(
            f"SELECT DISTINCT {quoted(column)}::text FROM {table.name.sql}"
            f" WHERE length({quoted(column)}::text) BETWEEN 1 AND 100 LIMIT {_MAX_KINDS + 1}"
        )
        return sorted(kind for (kind,) in rows) if len(rows) <= _MAX_KINDS else []

    def _scale(self, table: Table, column: str) -> tuple[float, float]:
        if not table.columns[column].can_read:
            return 1, 5
        low, high = self._session.row(
            f"SELECT min({quoted(column)})::float8, max({quoted(column)})::float8 FROM"
            f" {sample(table, [column])}"
        )
        if low is None:
            return 1, 5
        top = next((end for end in (1, 5, 10, 100) if high <= end), math.ceil(high))
        bottom = 1 if low >= 1 and top > 1 else 0.5 if low >= 0.5 and top > 1 else min(0, math.floor(low))  # noqa: PLR2004
        return bottom, top


def _weight(kind: str) -> float:
    text = kind.lower()
    return next((weight for parts, weight in _WEIGHTS if any(part in text for part in parts)), 1.0)


def _plural(word: str) -> str:
    if word == "person":
        return "people"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else word + "s"


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return slug if slug[:1].isalpha() else f"x_{slug}"
