"""A logical replication slot of the source: which rows have changed since the last copy.

The plugin is test_decoding. pgoutput needs a publication, and with one the application's own UPDATE and
DELETE fail on every table that has no replica identity. psycopg2's replication connection would bring whole
rows here; the functions of a slot can be asked in the snapshot that the copy reads, and what is not a key
stays in the source.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dataflix_source.capture import Watch, watches
from dataflix_source.client import Session
from dataflix_source.description.model import Description
from dataflix_source.description.references import ColumnName, literal, quoted
from dataflix_source.errors import RefusedError
from dataflix_source.looking.catalog import Catalog
from dataflix_source.looking.structure import tables_read

PLUGIN = "test_decoding"
_MEBIBYTE = 1 << 20

_MAKE_IT = "Run what `./run.sh source script` prints; the next copy then compares everything."

# How test_decoding writes a row: ` name[type]:value`, names and values quoted as in SQL.
_NAME = '(?:"(?:[^"]|"")+"|[a-z0-9_]+)'
_TYPE = r"\[(?:[^][]|\[\])*\]"
_VALUE = "(?:B?'(?:[^']|'')*'|[^' ]+)"
_OTHERS = f"(?: {_NAME}{_TYPE}:{_VALUE})*?"


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that can be read.

    Attributes:
        confirmed: the place in the WAL up to which the source may forget; later changes are shown.
        wal_status: as in pg_replication_slots: with unreserved, the WAL that we need may soon be removed.
        behind: bytes of WAL that the source keeps, or has to read again, for it.
    """

    name: str
    confirmed: int
    wal_status: str
    behind: int

    @property
    def guarantee(self) -> str:
        """What a copy from it sees and what it does not."""
        return (
            f"Every committed change, deletions included, from replication slot {self.name}"
            f" (WAL {self.wal_status}, {self.behind / _MEBIBYTE:,.1f} MiB behind before this copy). Not seen"
            " until the daily comparison: what DDL does to rows, such as a partition that is detached."
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What a slot showed.

    Attributes:
        keys: texts of the keys that changed, by entity; None if not all are known, or too many.
        read_to: the place in the WAL before which our snapshot sees everything.
    """

    keys: dict[str, list[str] | None]
    read_to: int


def find(session: Session, name: str) -> Slot | str:
    """Return the slot, or why it can't be used and what to do."""
    rows = session.rows(
        "SELECT plugin::text, database::text, wal_status, confirmed_flush_lsn - '0/0', CASE WHEN"
        " pg_is_in_recovery() THEN 0 ELSE pg_current_wal_lsn() - restart_lsn END"
        " FROM pg_replication_slots WHERE slot_name = %s",
        (name,),
    )
    if session.value("SELECT pg_is_in_recovery()"):
        return (
            "the source is a standby, which has no slot of ours. Name its primary in DATAFLIX_SOURCE_HOST, or"
            " write copy: compare."
        )
    if not rows:
        return f"the source has no replication slot {name}. {_MAKE_IT}"
    plugin, database, wal_status, confirmed, behind = rows[0]
    if plugin != PLUGIN or database != session.value("SELECT current_database()"):
        return (
            f"replication slot {name} is not ours: it has plugin {plugin} and database {database}. Name"
            " another one under source in the description (slot: name)."
        )
    if wal_status in (None, "lost") or confirmed is None or behind is None:
        return (
            f"replication slot {name} is lost: the source removed WAL that was not read yet"
            f" (max_slot_wal_keep_size). {_MAKE_IT}"
        )
    return Slot(name, int(confirmed), wal_status, int(behind))


def unseen(description: Description, catalog: Catalog) -> list[tuple[str, str]]:
    """Return what no slot shows: places in the file, and what is wrong there."""
    problems = []
    for place, name, _ in tables_read(description, catalog):
        table = catalog.find(name)
        if table is None:
            continue
        if table.kind not in ("r", "p"):
            what = "a view" if table.is_view else "a foreign table"
        elif not table.is_logged:
            what = "unlogged"
        else:
            continue
        problems.append(
            (
                f"{place}.table",
                f"{name} is {what}, and no replication slot shows its changes: name a table that is none, or"
                " write copy: compare under source.",
            )
        )
    return problems


def not_identified(session: Session, description: Description) -> list[Watch]:
    """Return the watched tables of which an UPDATE or DELETE does not say whose rows it changes."""
    every = watches(description)
    found = {(row.watch, row.is_identified) for row in _watched(session, every)}
    return [watch for watch in every if watch.key and (watch, False) in found]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A table, partition or heir as test_decoding names it, and the key that its rows have."""

    shown_name: str
    watch: Watch
    is_identified: bool


# Rows of partitions and heirs come under their own names. The replica identity says which columns of the old
# row are in the WAL.
_WATCHED = """
WITH RECURSIVE described AS (
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class AS c INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text [], %(names)s::text []))
),
every AS (
    SELECT nspname, relname, oid FROM described
    UNION
    SELECT e.nspname, e.relname, i.inhrelid FROM every AS e INNER JOIN pg_inherits AS i ON i.inhparent = e.oid
)
SELECT
    e.nspname, e.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
    c.relreplident = 'f', ARRAY(
        SELECT a.attname::text
        FROM pg_index AS x
        INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY(x.indkey::int2 [])
        WHERE
            x.indrelid = c.oid
            AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident END
    )
FROM every AS e
INNER JOIN pg_class AS c ON e.oid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
"""


def _watched(session: Session, every: Iterable[Watch]) -> list[_Watched]:
    by_table: dict[tuple[str, str], list[Watch]] = {}
    for watch in every:
        by_table.setdefault((watch.table.schema, watch.table.name), []).append(watch)
    values = {"schemas": [schema for schema, _ in by_table], "names": [name for _, name in by_table]}
    return [
        _Watched(shown, watch, not watch.key or full or watch.key in identity)
        for schema, name, shown, full, identity in session.rows(_WATCHED, values)
        for watch in by_table[schema, name]
    ]


# Transactions come in the order of their commits, and all that were committed come. One whose commit is in
# the WAL may still be open in our snapshot, as while it waits for a synchronous standby: from it on nothing
# is confirmed. Its number has 32 bits here; it is near the newest one of the snapshot.
_SHOWN = """
WITH decoded AS MATERIALIZED (
    SELECT
        c.number, c.lsn, c.data, substring(c.data FROM %(table)s) AS shown_name,
        pg_visible_in_snapshot(
            (
                s.newest - s.span / 2
                + mod(mod(c.xid::text::bigint - s.newest, s.span) + s.span + s.span / 2, s.span)
            )::text::xid8, s.snapshot
        ) AS is_visible
    FROM pg_logical_slot_peek_changes(%(slot)s, NULL, NULL, 'skip-empty-xacts', '1')
        WITH ORDINALITY AS c (lsn, xid, data, number)
    CROSS JOIN (
        SELECT
            4294967296 AS span, pg_current_snapshot() AS snapshot,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest
    ) AS s
),
watched AS (
    SELECT * FROM unnest(
        %(shown_names)s::text [], %(entities)s::text [], %(keys)s::text [], %(identified)s::boolean []
    ) AS w (shown_name, entity, key_pattern, is_identified)
),
changed AS (
    SELECT w.*, substr(d.data, length('table ' || d.shown_name || ': ') + 1) AS change
    FROM decoded AS d INNER JOIN watched AS w ON d.shown_name = w.shown_name
    WHERE d.is_visible
),
logged AS (
    SELECT c.entity, k.logged
    FROM changed AS c
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN c.key_pattern = '' OR NOT (c.is_identified OR c.change LIKE 'INSERT:%%') THEN NULL
            ELSE coalesce(substring(c.change FROM '^(?:INSERT|UPDATE|DELETE):' || c.key_pattern), '?')
        END
        WHERE c.change NOT LIKE 'UPDATE: old-key:%%'
        UNION ALL
        SELECT CASE WHEN c.key_pattern <> '' THEN coalesce(substring(c.change FROM p.pattern), '?') END
        FROM (VALUES
            ('^UPDATE: old-key:' || c.key_pattern),
            ('^UPDATE: old-key:' || %(others)s || ' new-tuple:' || c.key_pattern)
        ) AS p (pattern)
        WHERE c.change LIKE 'UPDATE: old-key:%%'
    ) AS k (logged)
    UNION ALL
    SELECT w.entity, NULL
    FROM decoded AS d
    INNER JOIN watched AS w ON strpos(
        ', ' || substring(d.data FROM %(truncate)s) || ', ', ', ' || w.shown_name || ', '
    ) > 0
    WHERE d.is_visible
),
texts AS (
    -- A row without a key is nobody's; one whose key could not be found may be anybody's.
    SELECT DISTINCT
        entity, CASE
            WHEN logged IN ('?', 'unchanged-toast-datum') THEN NULL
            WHEN left(logged, 1) = '''' THEN replace(substr(logged, 2, length(logged) - 2), '''''', '''')
            ELSE logged
        END AS key
    FROM logged WHERE logged IS DISTINCT FROM 'null'
)
SELECT
    entity, CASE WHEN count(*) <= %(most)s AND count(*) = count(key) THEN array_agg(key) END,
    NULL::numeric, false
FROM texts GROUP BY entity
UNION ALL
SELECT
    NULL, NULL, max(d.lsn - '0/0') FILTER (WHERE d.number < coalesce(o.first_number, d.number + 1)),
    bool_or(o.first_number IS NOT NULL)
FROM decoded AS d
CROSS JOIN (SELECT min(number) FILTER (WHERE NOT is_visible) AS first_number FROM decoded) AS o
WHERE d.data LIKE 'COMMIT %%'
"""


def peek(session: Session, slot: Slot, description: Description, most: int) -> Shown:
    """Read what has changed, and let the slot keep it.

    Args:
        session: a snapshot of the source.
        slot: as `find` returned it.
        description: whose rows are looked for.
        most: from more keys than this on, all of an entity count as changed.
    """
    # Before the slot is read: what was committed up to here is then among what it shows.
    flushed = int(session.value("SELECT pg_current_wal_flush_lsn() - '0/0'"))
    every = watches(description)
    watched = _watched(session, every)
    rows = session.rows(
        _SHOWN,
        {
            "slot": slot.name,
            "table": f"^table ({_NAME}\\.{_NAME}): ",
            "others": _OTHERS,
            "truncate": r"^table (.*): TRUNCATE:(?: restart_seqs| cascade| \(no-flags\))+$",
            "shown_names": [row.shown_name for row in watched],
            "entities": [row.watch.entity for row in watched],
            "keys": [_key_pattern(row.watch.key) for row in watched],
            "identified": [row.is_identified for row in watched],
            "most": most,
        },
    )
    keys: dict[str, list[str] | None] = {watch.entity: [] for watch in every}
    read_to = flushed
    for entity, texts, last_commit, has_open in rows:
        if entity is not None:
            keys[entity] = texts
        elif last_commit is not None and (has_open or last_commit > flushed):
            read_to = int(last_commit)
        elif has_open:
            read_to = slot.confirmed
    return Shown(keys, max(read_to, slot.confirmed))


def _key_pattern(key: str) -> str:
    if not key:
        return ""
    is_plain = re.fullmatch("[a-z_][a-z0-9_]*", key) is not None
    # Postgres quotes words of its own, too.
    doubled = key.replace('"', '""')
    name = f'(?:{key}|"{key}")' if is_plain else re.escape(f'"{doubled}"')
    return f"{_OTHERS} {name}{_TYPE}:({_VALUE})(?= |$)"


def confirm(session: Session, slot: Slot, read_to: int) -> None:
    """Let the source forget what comes before a place in the WAL."""
    if read_to > slot.confirmed:
        session.execute("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", (slot.name, lsn(read_to)))


def lsn(place: int) -> str:
    """Return a place in the WAL as Postgres writes it."""
    return f"{place >> 32:X}/{place & 0xFFFF_FFFF:X}"


def refuse_unreadable(session: Session, name: str) -> None:
    """Raise if the slot can't be read by our role.

    Raises:
        RefusedError: it is missing, lost or not ours, or our role may not read it.
    """
    found = find(session, name)
    if isinstance(found, str):
        raise RefusedError(f"copy: replication needs a slot, and {found}")
    if not session.value("SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user"):
        raise RefusedError(
            f"Our role may not read replication slot {name}: it needs the attribute REPLICATION. {_MAKE_IT}"
        )


def install_script(description: Description, catalog: Catalog, reader: str) -> str:
    """Return the script that an administrator of the source runs."""
    name = description.source.slot
    role = quoted(reader)
    tables = sorted({table for _, table, _ in tables_read(description, catalog)})
    rights = "\n".join(f"GRANT SELECT ON {table.sql} TO {role};" for table in tables)
    schemas = ", ".join(quoted(schema) for schema in sorted({table.schema for table in tables}))
    return f"""\
-- Dataflix: a replication slot, from which role {ColumnName(reader)} reads which rows have changed.
--
-- Run it with psql as an administrator (superuser, or who may give the attribute REPLICATION). It adds
-- nothing to any table. Running it again makes the slot new if it is lost.
--
-- A slot keeps the WAL that was not read yet, also while Dataflix is down: set max_slot_wal_keep_size, so
-- that the slot is lost before the disk is full. Dataflix then compares everything until it is made new.
-- Who has REPLICATION may read every change of this database, and where pg_hba.conf lets the role make
-- replication connections, the whole cluster.
\\set ON_ERROR_STOP on

DO $dataflix$
BEGIN
    IF current_setting('wal_level') <> 'logical' THEN
        RAISE EXCEPTION 'wal_level is %, and a logical slot needs logical', current_setting('wal_level')
            USING HINT = 'ALTER SYSTEM SET wal_level = ''logical'', and start the server again';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(reader)}) THEN
        RAISE EXCEPTION 'there is no such role'
            USING HINT = {literal(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD '...'")};
    END IF;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_replication_slots
        WHERE slot_name = {literal(name)} AND (plugin <> {literal(PLUGIN)} OR database <> current_database())
    ) THEN
        RAISE EXCEPTION 'there is a replication slot {name} already, and it is not ours'
            USING HINT = 'write another name under source in the description (slot: name)';
    END IF;
    IF current_setting('max_slot_wal_keep_size') = '-1' THEN
        RAISE WARNING 'max_slot_wal_keep_size is not set: the slot may fill the disk while Dataflix is down';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(reader)} AND (rolreplication OR rolsuper)
    ) THEN
        ALTER ROLE {role} REPLICATION;
    END IF;
END
$dataflix$;

GRANT USAGE ON SCHEMA {schemas} TO {role};
{rights}

SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = {literal(name)} AND (wal_status = 'lost' OR restart_lsn IS NULL);

SELECT pg_create_logical_replication_slot({literal(name)}, {literal(PLUGIN)})
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {literal(name)});
"""
