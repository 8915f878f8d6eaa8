-- Change capture: what changed since a load, in Postgres' own order. All of it is in schema capture.
--
-- Triggers set column last_xid of a tracked table to the transaction that last wrote the row. They record the keys of
-- deleted rows and, per statement, the change in the number of rows and in a checksum. No clock is involved. The ELT
-- reads two views in masked; docs/adr/0006-change-capture.md gives the reasons.
--
-- Run by psql as a superuser after 01_roles.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

CREATE SCHEMA IF NOT EXISTS capture AUTHORIZATION dataflix_owner;
COMMENT ON SCHEMA capture IS 'What changed in the application''s tables: keys and counts, no other values.';

-- Installations from before December 2026 call last_xid changed_in, and the trigger functions otherwise. Renaming
-- keeps stamps, ledger and triggers, so the next run of the ELT goes on with the changes alone.
DO $$
DECLARE
    old record;
BEGIN
    IF to_regclass('capture.deletions') IS NULL THEN
        RETURN;
    END IF;
    FOR old IN
        SELECT
            c.oid::regclass AS relation,
            c.relname,
            n.nspname
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
        WHERE
            a.attname = 'changed_in' AND a.atttypid = 'xid8'::regtype AND NOT a.attisdropped
            AND (
                c.oid IN (to_regclass('capture.deletions'), to_regclass('masked._deletions'))
                OR c.oid IN (SELECT t.relation FROM capture.tracked AS t)
            )
            AND NOT EXISTS (SELECT FROM pg_attribute AS l WHERE l.attrelid = c.oid AND l.attname = 'last_xid')
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME COLUMN changed_in TO last_xid', old.relation);
        EXECUTE format(
            'ALTER INDEX IF EXISTS %I.%I RENAME TO %I',
            old.nspname, old.relname || '_changed_in_idx', old.relname || '_last_xid_idx'
        );
    END LOOP;
    IF to_regprocedure('capture.write_down()') IS NOT NULL THEN
        ALTER FUNCTION capture.write_down() RENAME TO record_changes;
    END IF;
    IF to_regprocedure('capture.write_down_old_key()') IS NOT NULL THEN
        ALTER FUNCTION capture.write_down_old_key() RENAME TO record_old_key;
    END IF;
    IF to_regprocedure('capture.stamp()') IS NOT NULL THEN
        ALTER FUNCTION capture.stamp() RENAME TO set_last_xid;
    END IF;
END
$$;

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = capture;

CREATE TABLE IF NOT EXISTS tracked (
    table_name text PRIMARY KEY,
    relation regclass NOT NULL,
    tracking_id uuid NOT NULL,
    complete_from xid8 NOT NULL
);

COMMENT ON TABLE tracked IS 'Tables whose changes are captured.';
COMMENT ON COLUMN tracked.table_name IS 'Name of the masked view, and of the table in the warehouse.';
COMMENT ON COLUMN tracked.relation IS 'The table itself.';
COMMENT ON COLUMN tracked.tracking_id IS 'Changes each time that tracking starts again; changes before that are unknown.';
COMMENT ON COLUMN tracked.complete_from IS 'Deletions by this transaction and by later ones are all kept.';

CREATE TABLE IF NOT EXISTS deletions (
    deletion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    row_key text [],
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS deletions_last_xid_idx ON deletions (table_name, last_xid);

COMMENT ON TABLE deletions IS 'Keys that a DELETE removed, or that an UPDATE changed.';
COMMENT ON COLUMN deletions.deletion_id IS 'Key.';
COMMENT ON COLUMN deletions.table_name IS 'As in tracked.';
COMMENT ON COLUMN deletions.row_key IS 'Values of the key''s columns; NULL for a TRUNCATE, which deletes all keys.';
COMMENT ON COLUMN deletions.last_xid IS 'Transaction that deleted.';
COMMENT ON COLUMN deletions.deleted_at IS 'When that transaction began, for prune(); nothing is ordered by it.';

CREATE TABLE IF NOT EXISTS ledger (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    row_count bigint NOT NULL,
    checksum numeric NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_table_name_idx ON ledger (table_name);

COMMENT ON TABLE ledger IS
'By how much statements changed a table. Rows are only added, so writers never wait for each other. Only sums count.';
COMMENT ON COLUMN ledger.entry_id IS 'Key.';
COMMENT ON COLUMN ledger.table_name IS 'As in tracked.';
COMMENT ON COLUMN ledger.row_count IS 'Rows added, minus rows removed.';
COMMENT ON COLUMN ledger.checksum IS 'Sum of row_hash(key and last_xid) of rows added, minus that of rows removed.';

CREATE OR REPLACE FUNCTION row_hash(parts text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || substr(md5(parts), 1, 16))::bit(64)::bigint;

COMMENT ON FUNCTION row_hash(text) IS 'First 8 bytes of the MD5; the warehouse computes the same.';

CREATE OR REPLACE FUNCTION set_last_xid() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    NEW.last_xid := pg_current_xact_id();
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_last_xid() IS 'Trigger: sets last_xid to the writing transaction, whatever the writer says.';

-- Replaces ledger entries by their sum, one per table. It waits for nobody; readers see the old entries or the new.
CREATE OR REPLACE FUNCTION compact() RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH compacted AS (
        DELETE FROM capture.ledger
        WHERE entry_id IN (
            -- 5,000: costs the one write in a thousand that does this a few milliseconds.
            SELECT entry_id FROM capture.ledger ORDER BY entry_id LIMIT 5000 FOR UPDATE SKIP LOCKED
        )
        RETURNING table_name, row_count, checksum
    )
    INSERT INTO capture.ledger (table_name, row_count, checksum)
    SELECT
        table_name,
        sum(row_count),
        sum(checksum)
    FROM compacted
    GROUP BY table_name;
END;

COMMENT ON FUNCTION compact() IS 'Replaces ledger entries by their sum, one per table.';

-- Arguments of the trigger: the table's name in the warehouse, and the columns of its key as a quoted SQL list.
CREATE OR REPLACE FUNCTION record_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry CONSTANT text := 'INSERT INTO capture.ledger (table_name, row_count, checksum) '
        'SELECT $1, sum(sign), sum(sign * capture.row_hash(parts)) FROM (%s) AS moved HAVING count(*) > 0';
    rows CONSTANT text := 'SELECT %s AS sign, concat_ws('','', %s, last_xid) AS parts FROM %s';
    added CONSTANT text := format(rows, '1', TG_ARGV[1], 'added');
    taken CONSTANT text := format(rows, '-1', TG_ARGV[1], 'taken');
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            EXECUTE format(entry, added) USING TG_ARGV[0];
        WHEN 'UPDATE' THEN
            EXECUTE format(entry, added || ' UNION ALL ' || taken) USING TG_ARGV[0];
        WHEN 'DELETE' THEN
            EXECUTE format(entry, taken) USING TG_ARGV[0];
            EXECUTE format(
                'INSERT INTO capture.deletions (table_name, row_key) SELECT $1, ARRAY[%s]::text[] FROM taken', TG_ARGV[1]
            ) USING TG_ARGV[0];
        WHEN 'TRUNCATE' THEN
            INSERT INTO capture.deletions (table_name) VALUES (TG_ARGV[0]);
    END CASE;
    -- At other isolation levels, an entry that another session has just compacted would abort the writer.
    IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM capture.compact();
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION record_changes() IS 'Trigger: ledger and deletions of one statement.';

CREATE OR REPLACE FUNCTION record_old_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('INSERT INTO capture.deletions (table_name, row_key) SELECT $1, ARRAY[%s]::text[] FROM (SELECT ($2).*) AS old', TG_ARGV[1])
    USING TG_ARGV[0], OLD;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION record_old_key() IS 'Trigger: the key that a row had before an UPDATE changed it.';

-- Starts to track a table, or restores what is missing of its tracking.
CREATE OR REPLACE FUNCTION track(relation regclass, table_name text, VARIADIC key_columns text []) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    keys text;
    old_keys text;
    new_keys text;
    call text;
    -- Triggers run in the order of their names. This one is the last before a row is written, so the others still
    -- see whether the row has changed.
    names CONSTANT text[] := ARRAY[
        'zz_capture_stamp', 'zz_capture_insert', 'zz_capture_update', 'zz_capture_delete', 'zz_capture_truncate',
        'zz_capture_old_key'
    ];
    trigger_name text;
BEGIN
    IF
        (SELECT relkind FROM pg_class WHERE oid = relation) <> 'r'
        OR EXISTS (SELECT FROM pg_inherits WHERE relation IN (inhrelid, inhparent))
    THEN
        RAISE EXCEPTION 'the changes of % cannot be captured: it is no ordinary table, or it has partitions, is one, or inherits', relation
            USING HINT = 'leave it out of capture.track() and leave _changed_in out of its view; each load then reads the whole table. '
                'If it is tracked already, remove its row from capture.tracked';
    END IF;
    SELECT
        string_agg(quote_ident(k.name), ', ' ORDER BY k.place),
        string_agg('old.' || quote_ident(k.name), ', ' ORDER BY k.place),
        string_agg('new.' || quote_ident(k.name), ', ' ORDER BY k.place)
    INTO keys, old_keys, new_keys
    FROM unnest(key_columns) WITH ORDINALITY AS k (name, place);
    call := format('EXECUTE FUNCTION capture.record_changes(%L, %L)', table_name, keys);
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = 'last_xid' AND NOT attisdropped) THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN last_xid xid8 NOT NULL DEFAULT pg_current_xact_id()', relation);
    END IF;
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS %I ON %s (last_xid)',
        (SELECT relname FROM pg_class WHERE oid = relation) || '_last_xid_idx', relation
    );
    IF (
        SELECT count(*) FROM pg_trigger WHERE tgrelid = relation AND tgname = ANY (names) AND tgenabled = 'A'
    ) < cardinality(names) OR NOT EXISTS (
        SELECT FROM capture.tracked AS t WHERE t.table_name = track.table_name AND t.relation = track.relation
    ) THEN
        INSERT INTO capture.tracked (table_name, relation, tracking_id, complete_from)
        VALUES (table_name, relation, gen_random_uuid(), pg_current_xact_id())
        ON CONFLICT ON CONSTRAINT tracked_pkey DO UPDATE SET
            relation = excluded.relation, tracking_id = excluded.tracking_id, complete_from = excluded.complete_from;
    END IF;
    -- A new row has the right stamp by default; a call of the function per row takes longer than the insert.
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_stamp BEFORE INSERT OR UPDATE ON %s '
        'FOR EACH ROW WHEN (new.last_xid IS DISTINCT FROM pg_current_xact_id()) EXECUTE FUNCTION capture.set_last_xid()',
        relation);
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_insert AFTER INSERT ON %s '
        'REFERENCING NEW TABLE AS added FOR EACH STATEMENT %s', relation, call);
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_update AFTER UPDATE ON %s '
        'REFERENCING OLD TABLE AS taken NEW TABLE AS added FOR EACH STATEMENT %s', relation, call);
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_delete AFTER DELETE ON %s '
        'REFERENCING OLD TABLE AS taken FOR EACH STATEMENT %s', relation, call);
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_truncate AFTER TRUNCATE ON %s '
        'FOR EACH STATEMENT %s', relation, call);
    EXECUTE format('CREATE OR REPLACE TRIGGER zz_capture_old_key AFTER UPDATE ON %s '
        'FOR EACH ROW WHEN (ROW(%s) IS DISTINCT FROM ROW(%s)) EXECUTE FUNCTION capture.record_old_key(%L, %L)',
        relation, old_keys, new_keys, table_name, keys);
    FOREACH trigger_name IN ARRAY names LOOP
        -- Fire also in sessions that replicate (session_replication_role).
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', relation, trigger_name);
    END LOOP;
    -- A dump from a cluster with higher transaction ids brings such stamps. Without a new one, each run would read
    -- these rows again.
    EXECUTE format('UPDATE %s SET last_xid = last_xid WHERE last_xid > pg_current_xact_id()', relation);
    DELETE FROM capture.deletions AS d WHERE d.table_name = track.table_name AND d.last_xid > pg_current_xact_id();
END
$$;

COMMENT ON FUNCTION track(regclass, text, text []) IS
'Captures changes of a table, given its name in the warehouse and the columns of its key in the warehouse''s order.';

CREATE OR REPLACE FUNCTION restart_tracking() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_EVENT = 'table_rewrite' THEN
        UPDATE capture.tracked SET tracking_id = gen_random_uuid(), complete_from = pg_current_xact_id()
        WHERE relation = pg_event_trigger_table_rewrite_oid();
    ELSE
        UPDATE capture.tracked SET tracking_id = gen_random_uuid(), complete_from = pg_current_xact_id()
        WHERE EXISTS (SELECT FROM pg_inherits AS i WHERE tracked.relation IN (i.inhrelid, i.inhparent));
    END IF;
END
$$;

COMMENT ON FUNCTION restart_tracking() IS
'Event trigger: the next load of a table is full after ALTER TABLE rewrote it, or it was part of another table.';

CREATE OR REPLACE FUNCTION prune(kept interval) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH pruned AS (
        DELETE FROM capture.deletions WHERE deleted_at < now() - kept
        RETURNING table_name, last_xid
    )
    UPDATE capture.tracked SET complete_from = greatest(
        tracked.complete_from, (ends.last_one + 1)::text::xid8
    )
    FROM (SELECT table_name, max(last_xid::text::numeric) AS last_one FROM pruned GROUP BY table_name) AS ends
    WHERE tracked.table_name = ends.table_name;
END;

COMMENT ON FUNCTION prune(interval) IS
'Removes old deletions. If the last load was before the oldest deletion that is kept, the next one is full.';

GRANT USAGE ON SCHEMA capture TO dataflix_masking;
GRANT SELECT ON tracked, deletions, ledger TO dataflix_masking;

-- The API caches movies and checks with each list whether one has changed since. It cannot see the keys.
GRANT USAGE ON SCHEMA capture TO dataflix_backend;
GRANT SELECT (table_name, relation, complete_from) ON tracked TO dataflix_backend;
GRANT SELECT (table_name, last_xid) ON deletions TO dataflix_backend;

-- 30 days: after a longer break, a full load is acceptable.
SELECT
    compact(),
    prune(INTERVAL '30 days');

RESET ROLE;

-- ALTER TABLE ... TYPE changes rows without a trigger, and so do changes by way of a parent or a partition; nothing shows
-- it once the table has left that again.
DROP EVENT TRIGGER IF EXISTS capture_rewrites;
CREATE EVENT TRIGGER capture_rewrites ON table_rewrite EXECUTE FUNCTION capture.restart_tracking();
ALTER EVENT TRIGGER capture_rewrites ENABLE ALWAYS;
DROP EVENT TRIGGER IF EXISTS capture_inheritance;
CREATE EVENT TRIGGER capture_inheritance ON ddl_command_end
WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'ALTER FOREIGN TABLE', 'CREATE FOREIGN TABLE')
EXECUTE FUNCTION capture.restart_tracking();
ALTER EVENT TRIGGER capture_inheritance ENABLE ALWAYS;

CREATE SCHEMA IF NOT EXISTS masked AUTHORIZATION dataflix_masking;

SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

CREATE OR REPLACE VIEW _tracked WITH (security_barrier = true) AS
SELECT
    t.table_name,
    t.tracking_id,
    t.complete_from,
    coalesce(sum(e.row_count), 0) AS ledger_rows,
    coalesce(sum(e.checksum), 0) AS ledger_checksum
FROM capture.tracked AS t
LEFT JOIN capture.ledger AS e ON t.table_name = e.table_name
-- Triggers on a table miss what happens to it by way of a parent or of a partition, TRUNCATE and DETACH for instance.
-- Without a row here, the table is loaded in full.
WHERE
    (SELECT relkind FROM pg_catalog.pg_class WHERE oid = t.relation) = 'r'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE t.relation IN (i.inhrelid, i.inhparent))
GROUP BY t.table_name, t.tracking_id, t.complete_from;

CREATE OR REPLACE VIEW _deletions WITH (security_barrier = true) AS
SELECT
    table_name,
    row_key,
    last_xid
FROM capture.deletions;

COMMENT ON VIEW _tracked IS 'Ordinary tables whose changes are captured, with the sums of their ledgers.';
COMMENT ON VIEW _deletions IS 'Deleted keys; NULL means all keys of the table.';

GRANT USAGE ON SCHEMA masked TO elt_reader;
GRANT SELECT ON _tracked, _deletions TO elt_reader;

COMMIT;
