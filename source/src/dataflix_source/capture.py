"""The one schema of ours in a source: triggers that note what changed, and functions that read.

The functions' bodies are text, and the triggers read a row as JSON, so neither holds on to a column: a
migration of the application can change or drop what it likes. What is missing then stops the copy, not the
application.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from dataflix_source.description.model import CategoryTable, Described, Description, Events, Items, People
from dataflix_source.description.references import ColumnName, Reference, TableName, literal, quoted
from dataflix_source.looking.catalog import Catalog
from dataflix_source.looking.structure import read_columns
from dataflix_source.queries import STAGED, Query, build, found

PREFIX = "zz_dataflix"
_MARK = "Dataflix: notes changes for a copy of this database."
# Whoever adds a trigger waits for the writers of the table, and later writers wait for it.
_LOCK_TIMEOUT = "10s"


@dataclass(frozen=True, slots=True, order=True)
class Watch:
    """A table whose changes are noted for an entity.

    Attributes:
        key: the column with the key of the entity's unit; empty if any change concerns all of them.
    """

    table: TableName
    entity: str
    key: str


def watches(description: Description) -> list[Watch]:
    """Return what must be watched, each once, in a fixed order."""
    return sorted(set(_watches(description)))


def _watches(description: Description) -> Iterator[Watch]:
    for entity, described in description.tables():
        yield Watch(described.table, entity, _key(described))
        for _, reference in read_columns(described):
            yield from (Watch(hop.table, entity, "") for hop in reference.hops)
        if isinstance(described, Items) and isinstance(described.categories, CategoryTable):
            said = described.categories
            yield Watch(said.table, entity, said.item.name)
            yield from (Watch(hop.table, entity, "") for hop in said.name.hops)


def _key(described: Described) -> str:
    if isinstance(described, People | Items):
        return described.id.name
    if isinstance(described, Events) and not described.person.is_path:
        return described.person.column
    return ""


def trigger_names(number: int) -> tuple[str, ...]:
    """Return the names of the triggers of a watch, by its place in the list."""
    return tuple(f"{PREFIX}_{number}_{event}" for event in ("insert", "update", "delete", "truncate"))


def content_hash(description: Description, catalog: Catalog) -> str:
    """Return what is different if the script in the source is not that of this description and catalog."""
    return hashlib.sha256(_content(description, catalog).encode()).hexdigest()


def reader_function(query: Query) -> str:
    """Return the name of the function that reads an entity."""
    return "read_" + query.entity.replace(".", "_")


def _content(description: Description, catalog: Catalog) -> str:
    schema = quoted(description.source.capture_schema.name)
    parts = [_function(schema, query) for query in build(description, catalog).values()]
    parts += [_triggers(schema, number, watch, catalog) for number, watch in enumerate(watches(description))]
    return "\n".join(parts)


def _function(schema: str, query: Query) -> str:
    staged = STAGED[query.entity.partition(".")[0]]
    columns = ", ".join(f"{name} {kind}" for name, kind in staged)
    return f"""
CREATE FUNCTION {schema}.{reader_function(query)}(keys text []) RETURNS TABLE ({columns})
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $dataflix$
BEGIN
    IF keys IS NULL THEN
        RETURN QUERY
        {query.everything};
    ELSE
        RETURN QUERY
        {query.of_keys("keys")};
    END IF;
END
$dataflix$;
"""


def _triggers(schema: str, number: int, watch: Watch, catalog: Catalog) -> str:
    table = found(catalog, watch.table)
    arguments = f"{literal(watch.entity)}, {literal(watch.key)}"
    insert, update, delete, truncate = trigger_names(number)
    sql = watch.table.sql
    lines = [f"\n-- {watch.table} -> {watch.entity}"]
    if table.kind == "p":
        # A statement on a partition fires only triggers of rows, which each partition has of its parent.
        lines += [
            f"CREATE TRIGGER {name} AFTER {event} ON {sql} FOR EACH ROW"
            f" EXECUTE FUNCTION {schema}.note_row({arguments});"
            for name, event in ((insert, "INSERT"), (update, "UPDATE"), (delete, "DELETE"))
        ]
    else:
        lines += [
            f"CREATE TRIGGER {name} AFTER {event} ON {sql} REFERENCING {tables} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION {schema}.note({arguments});"
            for name, event, tables in (
                (insert, "INSERT", "NEW TABLE AS added"),
                (update, "UPDATE", "OLD TABLE AS taken NEW TABLE AS added"),
                (delete, "DELETE", "OLD TABLE AS taken"),
            )
        ]
    lines.append(
        f"CREATE TRIGGER {truncate} AFTER TRUNCATE ON {sql} FOR EACH STATEMENT"
        f" EXECUTE FUNCTION {schema}.note({arguments});"
    )
    # Also for changes that a logical subscriber applies.
    lines += [f"ALTER TABLE {sql} ENABLE ALWAYS TRIGGER {name};" for name in trigger_names(number)]
    return "\n".join(lines)


def install_script(description: Description, catalog: Catalog, reader: str) -> str:
    """Return the script that the owner of the tables runs.

    Args:
        description: what is read.
        catalog: of the source.
        reader: the role with which we read.

    Raises:
        RefusedError: the source lacks a table or column.
    """
    name = description.source.capture_schema.name
    schema = quoted(name)
    how_to_make = f"an administrator makes it: CREATE ROLE {quoted(reader)} LOGIN PASSWORD '...'"
    tables = ", ".join(str(table) for table in sorted({watch.table for watch in watches(description)}))
    return f"""\
-- Dataflix: notes the changes of {tables}.
--
-- Run it with psql as the owner of these tables; no superuser is needed. It makes schema {ColumnName(name)}
-- and triggers that call its functions, takes no right from anybody, and adds no column. Running it again
-- replaces the schema. To take it away:
--     DROP SCHEMA {schema} CASCADE;
\\set ON_ERROR_STOP on

BEGIN;

SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
-- A list of all that goes with the schema would hide an error.
SET LOCAL client_min_messages = warning;

DO $dataflix$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(reader)}) THEN
        RAISE EXCEPTION 'there is no role {_in_message(reader)}'
            USING HINT = {literal(how_to_make)};
    END IF;
    IF pg_catalog.to_regnamespace({literal(schema)}) IS NOT NULL
        AND pg_catalog.obj_description(pg_catalog.to_regnamespace({literal(schema)}), 'pg_namespace')
        IS DISTINCT FROM {literal(_MARK)} THEN
        RAISE EXCEPTION 'there is a schema {_in_message(name)} already, and it is not ours'
            USING HINT = 'write another name under source in the description (schema: name)';
    END IF;
END
$dataflix$;

DROP SCHEMA IF EXISTS {schema} CASCADE;
CREATE SCHEMA {schema};
COMMENT ON SCHEMA {schema} IS {literal(_MARK)};

CREATE TABLE {schema}.installation (
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    content_hash text NOT NULL,
    complete_from xid8 NOT NULL DEFAULT '0'
);
COMMENT ON COLUMN {schema}.installation.complete_from IS 'Notes from this transaction on are all kept.';
INSERT INTO {schema}.installation (content_hash) VALUES ({literal(content_hash(description, catalog))});

CREATE TABLE {schema}.changes (
    entity text NOT NULL,
    row_key text,
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX changes_last_xid_idx ON {schema}.changes (last_xid);
COMMENT ON TABLE {schema}.changes IS 'What changed: keys of people and items. Without a key, all of them.';

CREATE FUNCTION {schema}.note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $dataflix$
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            INSERT INTO {schema}.changes (entity, row_key)
            SELECT DISTINCT TG_ARGV[0], to_jsonb(a) ->> TG_ARGV[1] FROM added AS a;
        WHEN 'UPDATE' THEN
            INSERT INTO {schema}.changes (entity, row_key)
            SELECT TG_ARGV[0], to_jsonb(a) ->> TG_ARGV[1] FROM added AS a
            UNION
            SELECT TG_ARGV[0], to_jsonb(t) ->> TG_ARGV[1] FROM taken AS t;
        WHEN 'DELETE' THEN
            INSERT INTO {schema}.changes (entity, row_key)
            SELECT DISTINCT TG_ARGV[0], to_jsonb(t) ->> TG_ARGV[1] FROM taken AS t;
        ELSE
            INSERT INTO {schema}.changes (entity) VALUES (TG_ARGV[0]);
    END CASE;
    RETURN NULL;
END
$dataflix$;

CREATE FUNCTION {schema}.note_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $dataflix$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {schema}.changes (entity, row_key) VALUES (TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[1]);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {schema}.changes (entity, row_key) VALUES (TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1]);
    END IF;
    RETURN NULL;
END
$dataflix$;

CREATE FUNCTION {schema}.forget(before xid8) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $dataflix$
DECLARE
    forgotten bigint;
BEGIN
    DELETE FROM {schema}.changes AS c WHERE c.last_xid < before;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    UPDATE {schema}.installation AS i SET complete_from = before WHERE i.complete_from < before;
    RETURN forgotten;
END
$dataflix$;
{_content(description, catalog)}

GRANT USAGE ON SCHEMA {schema} TO {quoted(reader)};
GRANT SELECT ON {schema}.installation, {schema}.changes TO {quoted(reader)};

COMMIT;
"""


def _in_message(name: str) -> str:
    return name.replace("'", "''").replace("%", "%%")


def removal_script(description: Description) -> str:
    """Return the script that takes everything of ours out of the source, whatever the mode was."""
    schema = quoted(description.source.capture_schema.name)
    return f"""\
-- Takes away what Dataflix put into this database: the schema, and with it the triggers that call it, and the
-- replication slot.
\\set ON_ERROR_STOP on
BEGIN;
SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
SET LOCAL client_min_messages = warning;
DROP SCHEMA IF EXISTS {schema} CASCADE;
COMMIT;
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = {literal(description.source.slot)} AND database = current_database();
"""


def key_reference(described: Described) -> Reference:
    """Return the column whose values the notes of an entity have."""
    return Reference(_key(described))
