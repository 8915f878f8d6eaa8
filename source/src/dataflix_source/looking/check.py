"""Checks a description against its source: the catalog first, then counts of the rows."""

from dataflix_source.client import Session
from dataflix_source.description.model import CopyMode, Description, Events, Items, People
from dataflix_source.description.references import ColumnName, Reference, literal, quoted
from dataflix_source.looking.catalog import ZONELESS_TYPES, Catalog, Table, read_catalog
from dataflix_source.looking.findings import Findings
from dataflix_source.looking.personal import Suspicion, by_look
from dataflix_source.looking.structure import check_structure, names_to_name, part_of, unnamed
from dataflix_source.queries import time, visible
from dataflix_source.settings import VERIFIED, SourceSettings

# xid8 and pg_current_xact_id.
_OLDEST_VERSION = 130_000
# A B-tree's key has at most 2,704 bytes.
_MAX_ID_LENGTH = 1_000
_SHOWN = 5
_SHOWN_LENGTH = 40


def check_source(session: Session, settings: SourceSettings, description: Description) -> tuple[Catalog, Findings]:
    """Check all that can be checked before the first copy.

    Args:
        session: a snapshot of the source; its role should be one that may read the tables.
        settings: how it was reached.
        description: what is expected there.
    """
    findings = Findings()
    catalog = read_catalog(session)
    _check_server(session, settings, description, findings)
    if check_structure(description, catalog, findings):
        for place, described in description.tables():
            _check_rows(session, catalog, description, place, described, findings)
    return catalog, findings


def _check_server(
    session: Session, settings: SourceSettings, description: Description, findings: Findings
) -> None:
    version, encoding, standby, encrypted = session.row(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), pg_is_in_recovery(),"
        " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
    )
    if version < _OLDEST_VERSION:
        findings.problem("", f"The source is Postgres {version // 10_000}; 13 or later is needed.")
    if encoding == "SQL_ASCII":
        findings.note("", "The source does not know its encoding (SQL_ASCII): texts that are not UTF-8 stop a copy.")
    if standby:
        findings.note("source", "The source is a standby: what we read is as old as it lags behind.")
        if description.source.copy_mode is CopyMode.TRIGGERS:
            findings.note("source.copy", "The triggers' notes can't be removed over a standby; the primary keeps them.")
    if not settings.is_local and settings.sslmode not in VERIFIED:
        state = "encrypted, but nobody verified who answers" if encrypted else "not encrypted"
        findings.note(
            "",
            f"The connection to {settings.host} is {state} (DATAFLIX_SOURCE_SSLMODE={settings.sslmode}): set it to"
            " verify-full, and DATAFLIX_SOURCE_SSLROOTCERT to the certificate of who signed the server's.",
        )


def _check_rows(
    session: Session,
    catalog: Catalog,
    description: Description,
    place: str,
    described: People | Items | Events,
    findings: Findings,
) -> None:
    table = catalog.tables[described.table]
    names = names_to_name(place, described, table)
    readable = [name for name in names if table.columns[name].can_read]
    if len(readable) < len(names):
        findings.note(
            f"{place}.table",
            f"Our role may not read {len(names) - len(readable)} column(s) of {table.name}, so nobody looked whether they"
            " are personal or counted the rows. Check once as a role that may: --user NAME.",
        )
    broken = _broken(findings)
    if not table.hides_rows:
        unnamed(findings, place, described, _unseen(by_look(session, table, readable), findings, place))
    needed = {reference.column for reference in _needed(described)}
    # Rows of a table that does not fit can't be counted by the description.
    if place in broken or not table.can_read(needed):
        return
    if isinstance(described, Events):
        _check_events(session, catalog, description, place, described, table, findings, broken)
    else:
        _check_ids(session, place, described, table, findings)


def _broken(findings: Findings) -> set[str]:
    """Return people, items and the tables of events that do not fit the catalog."""
    places = {finding.place for finding in findings.problems if ".personal" not in finding.place}
    return {
        ".".join(place.split(".")[:2]) if place.startswith("events.") else place.partition(".")[0] for place in places
    }


def _unseen(suspicions: list[Suspicion], findings: Findings, place: str) -> list[Suspicion]:
    # What the name has already said need not be said again.
    said = {finding.text.partition(" seems")[0] for finding in findings.problems if finding.place.startswith(place)}
    return [one for one in suspicions if not any(text.endswith(f".{ColumnName(one.column)}") for text in said)]


def _needed(described: People | Items | Events) -> list[Reference]:
    if isinstance(described, Events):
        return [described.person, described.item, described.time]
    return [Reference(described.id.name)]


def _check_ids(
    session: Session, place: str, described: People | Items, table: Table, findings: Findings
) -> None:
    column = table.columns[described.id.name]
    value = f"t.{quoted(described.id.name)}"
    text = column.id_text(value)
    where = visible(described, table)
    rows, missing, different, longest = session.row(
        f"SELECT count(*), count(*) - count({value}), count(DISTINCT {text}), coalesce(max(length({text})), 0)"
        f" FROM {table.name.sql} AS t WHERE {where}"
    )
    if rows == 0:
        findings.note(f"{place}.table", f"{table.name} is empty.")
    if missing:
        findings.problem(f"{place}.id", f"{missing:,} row(s) of {table.name} have no {described.id}.")
    if rows - missing > different:
        shared = session.value(
            f"SELECT count(*) FROM (SELECT FROM {table.name.sql} AS t WHERE {where} AND {value} IS NOT NULL"
            f" GROUP BY {text} HAVING count(*) > 1) AS shared"
        )
        one = "people" if isinstance(described, People) else "items"
        findings.problem(
            f"{place}.id",
            f"{shared:,} value(s) of {described.id} stand in several rows of {table.name}: two {one} can't have one id.",
        )
    elif not table.is_unique(described.id.name):
        what = "is a view, and views have no keys" if table.is_view else "has no key of this column alone"
        findings.note(
            f"{place}.id",
            f"{described.id} is unique now, but {table.name} {what}; a copy with two rows of one id is refused.",
        )
    if longest > _MAX_ID_LENGTH:
        findings.problem(f"{place}.id", f"{described.id} has up to {longest:,} characters; {_MAX_ID_LENGTH:,} are possible.")


def _check_events(
    session: Session,
    catalog: Catalog,
    description: Description,
    place: str,
    events: Events,
    table: Table,
    findings: Findings,
    broken: set[str],
) -> None:
    where = visible(events, table)
    source = f"{table.name.sql} AS t WHERE {where}"
    if not session.value(f"SELECT EXISTS (SELECT FROM {source})"):
        findings.note(f"{place}.table", f"{table.name} is empty.")
        return
    if not events.time.is_path:
        column = table.columns[events.time.column]
        zone = description.zone(events)
        if column.type not in ZONELESS_TYPES or zone is not None:
            moment = time(f"t.{quoted(events.time.column)}", column, zone)
            outside, future = session.row(
                f"SELECT count(*) FILTER (WHERE {moment} IS NULL OR NOT {moment} BETWEEN '1900-01-01' AND '2299-12-31'),"
                f" count(*) FILTER (WHERE {moment} > now() + INTERVAL '1 day') FROM {source}"
            )
            if outside:
                findings.note(f"{place}.time", f"{outside:,} event(s) have no time, or one outside 1900 to 2299; they are left out.")
            if future:
                findings.note(f"{place}.time", f"{future:,} event(s) lie more than a day in the future; is the time zone right?")
    if events.kinds:
        _check_kinds(session, place, events, source, table, findings)
    if events.scale:
        _check_opinions(
            session, f"{place}.scale", f"t.{quoted(events.scale.column.name)}", source, findings,
            f"NOT {{value}} BETWEEN {events.scale.min!r} AND {events.scale.max!r}",
            f"lie outside of {events.scale.min:g} to {events.scale.max:g}",
        )  # fmt: skip
    if events.thumbs:
        words = ", ".join(literal(word.lower()) for word in (*events.thumbs.up, *events.thumbs.down))
        _check_opinions(
            session, f"{place}.thumbs", f"t.{quoted(events.thumbs.column.name)}", source, findings,
            f"lower({{value}}::text) NOT IN ({words})", "are neither up nor down",
        )  # fmt: skip
    for below, one, target in (("person", "people", description.people), ("item", "items", description.items)):
        reference: Reference = getattr(events, below)
        id_table = catalog.tables[target.table]
        if reference.is_path or one in broken or not id_table.can_read({target.id.name}):
            continue
        value = f"t.{quoted(reference.column)}"
        unknown = session.value(
            f"SELECT count(*) FROM {source} AND NOT EXISTS (SELECT FROM {id_table.name.sql} AS i"
            f" WHERE i.{quoted(target.id.name)} = {value})"
        )
        if unknown:
            findings.note(
                f"{place}.{below}", f"{unknown:,} event(s) name no {below} of {target.table}; they are left out."
            )


def _check_kinds(
    session: Session, place: str, events: Events, source: str, table: Table, findings: Findings
) -> None:
    assert events.kinds is not None  # noqa: S101  the caller has looked
    value = f"t.{quoted(events.kinds.column.name)}::text"
    known = ", ".join(map(literal, (*events.kinds.weights, *events.kinds.ignore)))
    others = session.rows(
        f"SELECT left({value}, {_SHOWN_LENGTH}), count(*) FROM {source} AND {value} NOT IN ({known})"
        f" GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN + 1}"
    )
    if others:
        shown = ", ".join(f"{kind!r} ({count:,})" for kind, count in others[:_SHOWN])
        more = ", and more" if len(others) > _SHOWN else ""
        findings.problem(
            f"{place}.kinds",
            f"Kinds of {table.name} without a weight: {shown}{more}. Give each one under weights, or list it under ignore.",
        )
    present = {kind for (kind,) in session.rows(f"SELECT DISTINCT {value} FROM {source} AND {value} IN ({known})")}
    for kind in events.kinds.weights:
        if kind not in present:
            findings.note(f"{place}.kinds.weights.{kind}", f"No event of {table.name} has the kind {kind!r} yet.")


def _check_opinions(
    session: Session, place: str, value: str, source: str, findings: Findings, condition: str, what: str
) -> None:
    outside, missing = session.row(
        f"SELECT count(*) FILTER (WHERE {condition.format(value=value)}), count(*) - count({value}) FROM {source}"
    )
    if outside:
        findings.problem(place, f"{outside:,} value(s) {what}. Correct the description; such an opinion can't be read.")
    if missing:
        findings.note(place, f"{missing:,} row(s) have no opinion; they are left out.")
