"""Checks a description against its source: the catalog first, then counts of the rows."""

from dataflix_source import slot
from dataflix_source.client import Session
from dataflix_source.description.model import CopyMode, Description, Events, Items, KindColumn, People
from dataflix_source.description.references import ColumnName, Reference, literal, quoted
from dataflix_source.looking.catalog import Catalog, read_catalog
from dataflix_source.looking.findings import Findings
from dataflix_source.looking.personal import Suspicion, by_look
from dataflix_source.looking.structure import check_structure, names_to_name, unnamed
from dataflix_source.queries import time, visible
from dataflix_source.settings import VERIFIED, SourceSettings

# xid8 and pg_current_xact_id.
_OLDEST_VERSION = 130_000
# A B-tree's key has at most 2,704 bytes.
_MAX_ID_LENGTH = 1_000
_SHOWN = 5
_SHOWN_LENGTH = 40


def check_source(
    session: Session, settings: SourceSettings, description: Description
) -> tuple[Catalog, Findings]:
    """Check all that can be checked before the first copy.

    Args:
        session: a snapshot of the source; its role should be one that may read the tables.
        settings: how it was reached.
        description: what is expected there.
    """
    findings = Findings()
    catalog = read_catalog(session)
    _check_server(session, settings, description, findings)
    complete = check_structure(description, catalog, findings)
    if description.source.copy_mode is CopyMode.REPLICATION:
        for place, problem in slot.unseen(description, catalog):
            findings.problem(place, problem)
        for watch in slot.not_identified(session, description):
            findings.note(
                f"{watch.entity}.table",
                f"An UPDATE or DELETE of {watch.table} makes a copy read all {watch.entity}: the WAL does"
                f" not say whose rows they were. ALTER TABLE {watch.table} REPLICA IDENTITY FULL would.",
            )
    if complete:
        for place, described in description.tables():
            _Rows(session, catalog, description, findings, place, described).check()
    return catalog, findings


def _check_server(
    session: Session, settings: SourceSettings, description: Description, findings: Findings
) -> None:
    version, encoding, standby, encrypted = session.row(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'),"
        " pg_is_in_recovery(),"
        " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
    )
    if version < _OLDEST_VERSION:
        findings.problem("", f"The source is Postgres {version // 10_000}; 13 or later is needed.")
    if encoding == "SQL_ASCII":
        findings.note(
            "", "The source does not know its encoding (SQL_ASCII): texts that are not UTF-8 stop a copy."
        )
    if standby:
        findings.note("source", "The source is a standby: what we read is as old as it lags behind.")
        if description.source.copy_mode is CopyMode.TRIGGERS:
            findings.note(
                "source.copy", "The triggers' notes can't be removed over a standby; the primary keeps them."
            )
    if description.source.copy_mode is CopyMode.REPLICATION:
        found = slot.find(session, description.source.slot)
        if isinstance(found, str):
            findings.note("source.copy", f"Before the first copy: {found}")
    if not settings.is_local and settings.sslmode not in VERIFIED:
        state = "encrypted, but nobody verified who answers" if encrypted else "not encrypted"
        findings.note(
            "",
            f"The connection to {settings.host} is {state} (DATAFLIX_SOURCE_SSLMODE={settings.sslmode}): set"
            " it to verify-full, and DATAFLIX_SOURCE_SSLROOTCERT to the certificate of who signed the"
            " server's.",
        )


class _Rows:
    """Counts the rows of one described table."""

    def __init__(  # noqa: PLR0917  all of it is needed, and it is called once
        self,
        session: Session,
        catalog: Catalog,
        description: Description,
        findings: Findings,
        place: str,
        described: People | Items | Events,
    ) -> None:
        self._session, self._catalog, self._description = session, catalog, description
        self._findings, self._place, self._described = findings, place, described
        self._table = catalog.tables[described.table]
        self._source = f"{self._table.name.sql} AS t WHERE {visible(described, self._table)}"

    def check(self) -> None:
        table, place = self._table, self._place
        names = names_to_name(place, self._described, table)
        readable = [name for name in names if table.columns[name].can_read]
        if len(readable) < len(names):
            self._note(
                "table",
                f"Our role may not read {len(names) - len(readable)} column(s) of {table.name}, so nobody"
                " looked whether they are personal or counted the rows. Check once as a role that may: --user"
                " NAME.",
            )
        broken = self._broken()
        if not table.hides_rows:
            suspicions = by_look(self._session, table, readable)
            unnamed(self._findings, place, self._described, self._unsaid(suspicions))
        # Rows of a table that does not fit can't be counted by the description.
        if place in broken or not table.can_read(self._needed()):
            return
        if isinstance(self._described, Events):
            self._check_events(self._described, broken)
        else:
            self._check_ids(self._described)

    def _problem(self, below: str, text: str) -> None:
        self._findings.problem(f"{self._place}.{below}", text)

    def _note(self, below: str, text: str) -> None:
        self._findings.note(f"{self._place}.{below}", text)

    def _broken(self) -> set[str]:
        """Return people, items and the tables of events that do not fit the catalog."""
        places = {finding.place for finding in self._findings.problems if ".personal" not in finding.place}
        return {
            ".".join(place.split(".")[:2]) if place.startswith("events.") else place.partition(".")[0]
            for place in places
        }

    def _unsaid(self, suspicions: list[Suspicion]) -> list[Suspicion]:
        # What the name has already said need not be said again.
        said = {
            finding.text.partition(" seems")[0]
            for finding in self._findings.problems
            if finding.place.startswith(self._place)
        }
        return [
            one for one in suspicions if not any(text.endswith(f".{ColumnName(one.column)}") for text in said)
        ]

    def _needed(self) -> set[str]:
        if isinstance(self._described, Events):
            events = self._described
            return {events.person.column, events.item.column, events.time.column}
        return {self._described.id.name}

    def _check_ids(self, described: People | Items) -> None:
        table = self._table
        column = table.columns[described.id.name]
        value = f"t.{quoted(described.id.name)}"
        text = column.id_text(value)
        rows, missing, different, longest = self._session.row(
            f"SELECT count(*), count(*) - count({value}), count(DISTINCT {text}),"
            f" coalesce(max(length({text})), 0) FROM {self._source}"
        )
        if rows == 0:
            self._note("table", f"{table.name} is empty.")
        if missing:
            self._problem("id", f"{missing:,} row(s) of {table.name} have no {described.id}.")
        if rows - missing > different:
            shared = self._session.value(
                f"SELECT count(*) FROM (SELECT FROM {self._source} AND {value} IS NOT NULL"
                f" GROUP BY {text} HAVING count(*) > 1) AS shared"
            )
            ones = "people" if isinstance(described, People) else "items"
            self._problem(
                "id",
                f"{shared:,} value(s) of {described.id} stand in several rows of {table.name}: two {ones}"
                " can't have one id.",
            )
        elif not table.is_unique(described.id.name):
            what = "is a view, and views have no keys" if table.is_view else "has no key of this column alone"
            self._note(
                "id",
                f"{described.id} is unique now, but {table.name} {what}; a copy with two rows of one id is"
                " refused.",
            )
        if longest > _MAX_ID_LENGTH:
            self._problem(
                "id", f"{described.id} has up to {longest:,} characters; {_MAX_ID_LENGTH:,} are possible."
            )

    def _check_events(self, events: Events, broken: set[str]) -> None:
        if not self._session.value(f"SELECT EXISTS (SELECT FROM {self._source})"):
            self._note("table", f"{self._table.name} is empty.")
            return
        if not events.time.is_path:
            self._check_times(events)
        if events.kinds:
            self._check_kinds(events.kinds)
        if events.scale:
            low, high = events.scale.min, events.scale.max
            self._check_opinions(
                "scale",
                f"t.{quoted(events.scale.column.name)}",
                f"NOT {{value}} BETWEEN {low!r} AND {high!r}",
                f"lie outside of {low:g} to {high:g}",
            )
        if events.thumbs:
            words = ", ".join(literal(word.lower()) for word in (*events.thumbs.up, *events.thumbs.down))
            self._check_opinions(
                "thumbs",
                f"t.{quoted(events.thumbs.column.name)}",
                f"lower({{value}}::text) NOT IN ({words})",
                "are neither up nor down",
            )
        for below, reference, ones in (("person", events.person, "people"), ("item", events.item, "items")):
            if not reference.is_path and ones not in broken:
                self._check_known(below, reference)

    def _check_times(self, events: Events) -> None:
        column = self._table.columns[events.time.column]
        moment = time(f"t.{quoted(events.time.column)}", column, self._description.zone(events))
        outside, future = self._session.row(
            "SELECT"
            f" count(*) FILTER (WHERE {moment} IS NULL OR NOT {moment} BETWEEN '1900-01-01' AND"
            f" '2299-12-31'), count(*) FILTER (WHERE {moment} > now() + INTERVAL '1 day') FROM {self._source}"
        )
        if outside:
            self._note(
                "time",
                f"{outside:,} event(s) have no time, or one outside 1900 to 2299; they are left out.",
            )
        if future:
            self._note(
                "time", f"{future:,} event(s) lie more than a day in the future; is the time zone right?"
            )

    def _check_known(self, below: str, reference: Reference) -> None:
        target = self._description.people if below == "person" else self._description.items
        id_table = self._catalog.tables[target.table]
        if not id_table.can_read({target.id.name}):
            return
        unknown = self._session.value(
            f"SELECT count(*) FROM {self._source} AND NOT EXISTS (SELECT FROM {id_table.name.sql} AS i"
            f" WHERE i.{quoted(target.id.name)} = t.{quoted(reference.column)})"
        )
        if unknown:
            self._note(below, f"{unknown:,} event(s) name no {below} of {target.table}; they are left out.")

    def _check_kinds(self, kinds: KindColumn) -> None:
        value = f"t.{quoted(kinds.column.name)}::text"
        known = ", ".join(map(literal, (*kinds.weights, *kinds.ignore)))
        others = self._session.rows(
            f"SELECT left({value}, {_SHOWN_LENGTH}), count(*) FROM {self._source}"
            f" AND {value} NOT IN ({known}) GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN + 1}"
        )
        if others:
            shown = ", ".join(f"{kind!r} ({count:,})" for kind, count in others[:_SHOWN])
            more = ", and more" if len(others) > _SHOWN else ""
            self._problem(
                "kinds",
                f"Kinds of {self._table.name} without a weight: {shown}{more}. Give each one under weights,"
                " or list it under ignore.",
            )
        present = {
            kind
            for (kind,) in self._session.rows(
                f"SELECT DISTINCT {value} FROM {self._source} AND {value} IN ({known})"
            )
        }
        for kind in kinds.weights:
            if kind not in present:
                self._note(
                    f"kinds.weights.{kind}", f"No event of {self._table.name} has the kind {kind!r} yet."
                )

    def _check_opinions(self, below: str, value: str, condition: str, what: str) -> None:
        outside, missing = self._session.row(
            f"SELECT count(*) FILTER (WHERE {condition.format(value=value)}), count(*) - count({value})"
            f" FROM {self._source}"
        )
        if outside:
            self._problem(
                below, f"{outside:,} value(s) {what}. Correct the description; such an opinion can't be read."
            )
        if missing:
            self._note(below, f"{missing:,} row(s) have no opinion; they are left out.")
