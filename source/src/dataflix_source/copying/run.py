"""One copy: reads a snapshot of the source and changes our own Postgres in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from dataflix_source.capture import content_hash, key_reference, reader_function
from dataflix_source.client import Session, own_transaction, source_snapshot, source_writer
from dataflix_source.copying import events, items, people
from dataflix_source.copying.identity import Position, position
from dataflix_source.copying.people import Changes
from dataflix_source.copying.readiness import installation as installation_of
from dataflix_source.copying.readiness import refuse_other_structure, refuse_ours
from dataflix_source.copying.state import (
    CopyState,
    lock,
    read_states,
    refuse_other_people,
    refuse_other_source,
    write_description,
    write_states,
)
from dataflix_source.copying.streams import stream
from dataflix_source.description.model import CopyMode, Description, Items, People
from dataflix_source.description.references import literal, quoted
from dataflix_source.errors import RefusedError, SourceError
from dataflix_source.looking.catalog import Catalog, read_catalog
from dataflix_source.queries import Query, build, found
from dataflix_source.settings import OwnSettings, SourceSettings
from dataflix_source.slot import Shown, Slot, confirm, find, peek

GUARANTEES = {
    CopyMode.TRIGGERS: (
        "Every committed change, deletions included, since the last copy. Not seen until the daily"
        " comparison: what happens to a partition past its parent (TRUNCATE, DETACH, DROP)."
    ),
    CopyMode.UPDATED_AT: (
        "Rows whose `changed` is later than the last copy less ten minutes. Not seen until the daily"
        " comparison: deleted rows, rows whose writer does not set it or commits later, other tables on a"
        " path."
    ),
    CopyMode.COMPARE: "Everything, in each copy.",
}
# How late a row may commit after the moment in its `changed`.
_LATE_COMMITS = timedelta(minutes=10)
# From here on, reading everything is quicker than asking for keys.
_MAX_KEYS = 50_000
# A run that erases more people than this, and more than a tenth of them, may be a mistake: an emptied source.
_FEW = 20
_SHARE = 0.1


@dataclass(frozen=True)
class CopyResult:
    """What a copy did.

    Attributes:
        position: the moment of the source that our copy shows now.
        changes: of people, items and each table of events.
        kept_notes: why the source still has the notes of what was read; None if it does not.
        slot: the replication slot that was read, if there is one.
        read_to: how far it was read.
    """

    position: Position
    mode: CopyMode
    guarantee: str
    changes: tuple[Changes, ...]
    kept_notes: str | None = None
    slot: Slot | None = None
    read_to: int = 0


@dataclass(frozen=True)
class Options:
    """What a person may ask of a copy.

    Attributes:
        compare: read everything, whatever the mode.
        accept_source: take over a database that has moved.
        accept_deletions: erase however many people and items are gone.
        wait: let another copy end first.
    """

    compare: bool = False
    accept_source: bool = False
    accept_deletions: bool = False
    wait: bool = False


def copy(
    source_settings: SourceSettings,
    own_settings: OwnSettings,
    description: Description,
    options: Options = Options(),
    progress: Callable[[str], None] = lambda _: None,
) -> CopyResult:
    """Bring our own Postgres in line with the source.

    Raises:
        SourceUnavailableError: the source can't be reached, or went away.
        DatabaseError: one of the databases refused a statement.
        RefusedError: the copy would do harm, or the source does not fit the description.
        BusyError: another copy is running.
    """
    refuse_ours(description)
    with own_transaction(own_settings) as own:
        lock(own, wait=options.wait)
        states = read_states(own)
        with source_snapshot(source_settings) as source:
            run = _Run(source, own, description, options, states, progress=progress)
            result = run.copy()
    # After our commit: what we have, the source may forget.
    if result.slot or (description.source.copy_mode is CopyMode.TRIGGERS and not result.position.is_standby):
        try:
            _forget(source_settings, description, result)
        except SourceError as error:
            # The copy is done. The next one reads the same notes again, and removes them.
            return replace(result, kept_notes=str(error))
    return result


def _forget(settings: SourceSettings, description: Description, result: CopyResult) -> None:
    with source_writer(settings) as source:
        if result.slot:
            confirm(source, result.slot, result.read_to)
            return
        schema = quoted(description.source.capture_schema.name)
        source.execute(f"SELECT {schema}.forget(%s::text::xid8)", (str(result.position.xmin),))


class _Run:
    def __init__(
        self,
        source: Session,
        own: Session,
        description: Description,
        options: Options,
        states: dict[str, CopyState],
        *,
        progress: Callable[[str], None],
    ) -> None:
        self._source, self._own = source, own
        self._description, self._options = description, options
        self._states, self._progress = states, progress
        self._mode = description.source.copy_mode
        self._schema = quoted(description.source.capture_schema.name)
        self._now = position(source)
        self._slot: Slot | None = None
        self._shown = Shown({}, 0)

    def copy(self) -> CopyResult:
        refuse_other_source(self._states, self._now.identity, accept=self._options.accept_source)
        refuse_other_people(self._own, self._states)
        catalog = read_catalog(self._source)
        refuse_other_structure(self._description, catalog)
        queries = build(self._description, catalog)
        content = content_hash(self._description, catalog)
        installation, complete_from = (
            installation_of(self._source, self._description, content)
            if self._mode is CopyMode.TRIGGERS
            else (None, 0)
        )
        unusable = self._read_slot() if self._mode is CopyMode.REPLICATION else None
        compare = unusable or self._must_compare(queries, content, installation, complete_from)
        if compare:
            self._progress(f"everything is compared: {compare}")
        keys = {
            entity: None if compare else self._changed_keys(query, catalog)
            for entity, query in queries.items()
        }
        changes = self._write(queries, keys)
        write_description(
            self._own,
            self._description.words,
            item_id_type=self._id_type(catalog, self._description.items),
            person_id_type=self._id_type(catalog, self._description.people),
        )
        guarantee = self._guarantee(unusable)
        write_states(
            self._own,
            [
                self._state(change, content, installation, guarantee, everything=bool(compare))
                for change in changes
            ],
        )
        return CopyResult(
            self._now,
            self._mode,
            guarantee,
            tuple(changes),
            slot=self._slot,
            read_to=self._shown.read_to,
        )

    def _read_slot(self) -> str | None:
        """Read which rows have changed; returns why that can't be known, if it can't."""
        found = find(self._source, self._description.source.slot)
        if isinstance(found, str):
            return found
        self._slot = found
        self._shown = peek(self._source, found, self._description, _MAX_KEYS)
        return None

    def _guarantee(self, unusable: str | None) -> str:
        if unusable:
            return f"Everything, in each copy, because {unusable}"
        return self._slot.guarantee if self._slot else GUARANTEES[self._mode]

    @staticmethod
    def _id_type(catalog: Catalog, described: People | Items) -> str:
        return found(catalog, described.table).columns[described.id.name].type

    def _must_compare(
        self, queries: dict[str, Query], content: str, installation: str | None, complete_from: int
    ) -> str | None:
        """Return why everything must be read; None if the changes are enough."""
        every = self._description.source.compare_every
        if self._options.compare or self._options.accept_source:
            return "it was asked for"
        if self._mode is CopyMode.COMPARE:
            return "that is the mode"
        if set(self._states) != set(queries):
            return "this is the first copy" if not self._states else "the description has other tables"
        for state in self._states.values():
            reasons = {
                "the description has changed": state.description_hash != content or state.mode != self._mode,
                "the triggers are new": state.installation_id != installation,
                "our own Postgres was restored": state.read_from < complete_from,
                "the source was restored, or another server took over": self._now.xmin < state.read_from
                or (
                    None not in (state.timeline, self._now.timeline) and state.timeline != self._now.timeline
                ),
                "the last comparison is old": self._now.now - state.compared_at >= every,
                "the source's clock went back": self._now.now < state.read_at,
                "the replication slot is new, or others read it": self._slot is not None
                and (state.slot_lsn is None or state.slot_lsn < self._slot.confirmed),
            }
            for reason, holds in reasons.items():
                if holds:
                    return reason
        return None

    def _changed_keys(self, query: Query, catalog: Catalog) -> list[str] | None:
        """Return the keys of the units that may have changed; None for all of them."""
        state = self._states[query.entity]
        if self._mode is CopyMode.REPLICATION:
            shown = self._shown.keys[query.entity]
            if not shown:
                return shown
            rows = self._source.rows(
                f"SELECT DISTINCT {self._noted(query, catalog)} FROM unnest(%s::text[]) AS s (row_key)",
                (shown,),
            )
        elif self._mode is CopyMode.TRIGGERS:
            rows = self._source.rows(
                f"SELECT DISTINCT {self._noted(query, catalog)} FROM {self._schema}.changes"
                " WHERE entity = %s AND last_xid >= %s::text::xid8 LIMIT %s",
                (query.entity, str(state.read_from), _MAX_KEYS + 1),
            )
        else:
            since = literal((state.read_at - _LATE_COMMITS).isoformat())
            rows = self._source.rows(
                f"SELECT DISTINCT {query.unit} FROM {query.from_clause}"
                f" WHERE {query.changed} >= {since}::timestamptz LIMIT {_MAX_KEYS + 1}"
            )
        keys = [key for (key,) in rows]
        return None if len(keys) > _MAX_KEYS or None in keys else sorted(keys)

    def _noted(self, query: Query, catalog: Catalog) -> str:
        """Return SQL for the text of an id, from the text of a key as Postgres writes it."""
        described = dict(self._description.tables())[query.entity]
        key = key_reference(described).column
        if not key:
            return "row_key"
        column = catalog.tables[described.table].columns[key]
        kind = {"numeric": "numeric", "bpchar": "bpchar"}.get(column.type)
        return column.id_text(f"row_key::{kind}" if kind else "row_key")

    def _read(self, query: Query, keys: list[str] | None, target: str) -> int:
        if keys == []:
            return 0
        array = "NULL" if keys is None else f"ARRAY[{', '.join(map(literal, keys))}]::text[]"
        if self._mode is CopyMode.TRIGGERS:
            text = f"SELECT * FROM {self._schema}.{reader_function(query)}({array})"
        else:
            text = query.everything if keys is None else query.of_keys(array)
        return stream(self._source, text, self._own, target)

    def _write(self, queries: dict[str, Query], keys: dict[str, list[str] | None]) -> list[Changes]:
        own = self._own
        for part in (people, items, events):
            part.create_stage(own)
        self._progress("people")
        read_people = self._read(queries["people"], keys["people"], people.stage_target())
        gone_people = people.find_gone(own, keys["people"])
        self._progress("items")
        read_items = self._read(queries["items"], keys["items"], items.stage_target())
        gone_items = items.find_gone(own, keys["items"])
        self._refuse_many_deletions(gone_people, gone_items)
        own.execute("SELECT set_config('dataflix.deleted_in_source', 'on', true)")
        changes = [
            people.apply(own, self._description, compared=keys["people"] is None, read=read_people),
            items.apply(own, compared=keys["items"] is None, read=read_items),
        ]
        own.execute("SELECT set_config('dataflix.deleted_in_source', 'off', true)")
        new_people = [key for (key,) in own.rows(f"SELECT source_key FROM {people.STAGE} WHERE is_new")]
        taken = {}
        for entity, query in queries.items():
            if entity in ("people", "items"):
                continue
            self._progress(entity)
            wanted = self._people_to_read(keys[entity], entity, new_people, new_items=changes[1].inserted)
            self._read(query, wanted, events.stage_target())
            taken[entity] = (wanted is None, *events.take(own, entity, wanted))
        changes += events.apply(own, self._description, taken)
        return changes

    def _people_to_read(
        self, keys: list[str] | None, entity: str, new_people: list[str], *, new_items: int
    ) -> list[str] | None:
        # Events that were left out may have a place now.
        if keys is None or (new_items and self._states[entity].left_out_count):
            return None
        wanted = sorted({*keys, *new_people})
        return None if len(wanted) > _MAX_KEYS else wanted

    def _refuse_many_deletions(self, gone_people: int, gone_items: int) -> None:
        if self._options.accept_deletions:
            return
        for gone, table, what in (
            (gone_people, "source.people", "people"),
            (gone_items, "source.items", "items"),
        ):
            known = self._own.value(f"SELECT count(*) FROM {table}")
            if gone > _FEW and gone > _SHARE * known:
                raise RefusedError(
                    f"{gone:,} of {known:,} {what} are not in the source any more, and would be erased here"
                    " with all that is known of them. Nothing was changed. If that is right,"
                    " `./run.sh source copy --accept-deletions` does it."
                )

    def _state(
        self, change: Changes, content: str, installation: str | None, guarantee: str, *, everything: bool
    ) -> CopyState:
        before = self._states.get(change.entity)
        count = {
            "people": "SELECT count(*) FROM source.people",
            "items": "SELECT count(*) FROM source.items",
        }.get(
            change.entity,
            "SELECT count(*) FROM interactions AS x INNER JOIN source.event_kinds AS k ON x.kind = k.kind"
            f" WHERE k.entity = {literal(change.entity)}",
        )
        left_out = (
            change.left_out
            if change.compared or before is None
            else max(before.left_out_count, change.left_out)
        )
        return CopyState(
            change.entity,
            self._description.source.name,
            self._now.identity,
            self._now.timeline,
            str(self._mode),
            guarantee,
            installation,
            content,
            self._now.xmin,
            self._now.now,
            self._now.now if everything or before is None else before.compared_at,
            int(self._own.value(count)),
            left_out,
            self._shown.read_to if self._slot else None,
        )
