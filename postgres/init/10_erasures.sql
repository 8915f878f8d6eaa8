-- Erasures: which users must be removed from the warehouse, and the proof that they were.
--
-- A deleted user is an erasure, however the row was deleted. The ELT reads which users are pending, removes them from
-- the warehouse, verifies that nothing is left, and records that. From then on the record names nobody.
--
-- Run by psql as a superuser after 08_feedback.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = public;

CREATE TABLE IF NOT EXISTS erasures (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint,
    deleted_in xid8 DEFAULT pg_current_xact_id(),
    requested_at timestamptz NOT NULL DEFAULT now(),
    ratings_count bigint,
    watched_count bigint,
    blocks_count bigint,
    feedback_count bigint,
    verified_at timestamptz,
    warehouse_rows_count bigint,
    scanned_bytes_count bigint,
    -- Neither an id nor a hash of one stays: there are few enough ids to try them all.
    CONSTRAINT erasures_names_nobody_once_verified CHECK ((user_id IS NULL) = (verified_at IS NOT NULL))
);

ALTER TABLE erasures ADD COLUMN IF NOT EXISTS scanned_files_count bigint;
ALTER TABLE erasures ADD COLUMN IF NOT EXISTS searched_tables text [];
ALTER TABLE erasures ADD COLUMN IF NOT EXISTS interactions_count bigint;

-- An older database lacks the column; the list of deleted keys has the transaction.
ALTER TABLE erasures ADD COLUMN IF NOT EXISTS deleted_in xid8;
ALTER TABLE erasures ALTER COLUMN deleted_in SET DEFAULT pg_current_xact_id();
UPDATE erasures SET deleted_in = coalesce(
    (
        SELECT max(d.last_xid::text::numeric)::text::xid8
        FROM capture.deletions AS d
        WHERE d.table_name = 'users' AND d.row_key = ARRAY[erasures.user_id::text]
    ),
    pg_current_xact_id()
)
WHERE verified_at IS NULL AND deleted_in IS NULL;
-- A dump from a cluster with higher transaction ids brings such ones.
UPDATE erasures SET deleted_in = pg_current_xact_id() WHERE deleted_in > pg_current_xact_id();

CREATE UNIQUE INDEX IF NOT EXISTS erasures_user_id_key ON erasures (user_id);

COMMENT ON TABLE erasures IS 'Which erasures were requested, and what was removed when.';
COMMENT ON COLUMN erasures.erasure_id IS 'Key; says nothing about the person.';
COMMENT ON COLUMN erasures.user_id IS 'The user to remove from the warehouse; null once that is verified.';
COMMENT ON COLUMN erasures.deleted_in IS
'Transaction that deleted the user here; rows of a later one are those of a new user with the same id.';
COMMENT ON COLUMN erasures.requested_at IS 'When the user was deleted here.';
COMMENT ON COLUMN erasures.ratings_count IS 'Ratings deleted here; null if the row of users was deleted by hand.';
COMMENT ON COLUMN erasures.watched_count IS 'Watched movies deleted here; null if by hand.';
COMMENT ON COLUMN erasures.blocks_count IS 'Blocks deleted here; null if by hand.';
COMMENT ON COLUMN erasures.feedback_count IS 'Feedback deleted here; null if by hand.';
COMMENT ON COLUMN erasures.interactions_count IS
'Events of the source deleted here, one for each movie and kind; null if by hand.';
COMMENT ON COLUMN erasures.verified_at IS 'When nothing of the person was left in the warehouse.';
COMMENT ON COLUMN erasures.warehouse_rows_count IS
'Rows removed from the warehouse, in all tables and versions together, by the run that removed them.';
COMMENT ON COLUMN erasures.scanned_bytes_count IS
'Bytes of the warehouse''s files, unpacked, that were searched for the pseudonyms; null if they are out of reach.';

COMMENT ON COLUMN erasures.scanned_files_count IS 'How many files these were; null if they are out of reach.';
COMMENT ON COLUMN erasures.searched_tables IS 'Tables of the warehouse that had none of the person''s rows at the end.';

CREATE OR REPLACE FUNCTION ask_for_erasure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.erasures (user_id) SELECT user_id FROM gone
    ON CONFLICT (user_id) DO UPDATE SET deleted_in = excluded.deleted_in;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION ask_for_erasure() IS 'Trigger: requests an erasure for each user that a statement deleted.';

CREATE OR REPLACE TRIGGER users_ask_for_erasure AFTER DELETE ON users
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION ask_for_erasure();

CREATE OR REPLACE FUNCTION ask_for_all_erasures() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.erasures (user_id) SELECT user_id FROM public.users
    ON CONFLICT (user_id) DO UPDATE SET deleted_in = excluded.deleted_in;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION ask_for_all_erasures() IS 'Trigger: requests an erasure for each user that a TRUNCATE is about to remove.';

CREATE OR REPLACE TRIGGER users_ask_for_all_erasures BEFORE TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION ask_for_all_erasures();

-- Also for a delete that a logical subscriber applies (session_replication_role).
ALTER TABLE users ENABLE ALWAYS TRIGGER users_ask_for_erasure;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_ask_for_all_erasures;

CREATE OR REPLACE FUNCTION erase_user(erased bigint) RETURNS SETOF erasures
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counts bigint [];
    deleted bigint;
    table_name text;
BEGIN
    -- A transaction that stores an event of this user holds a share lock on the row until it commits; a later one
    -- waits for us and then finds no user.
    PERFORM FROM public.users WHERE user_id = erased FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOREACH table_name IN ARRAY ARRAY['ratings', 'watched_movies', 'user_blocks', 'feedback', 'interactions'] LOOP
        EXECUTE format('DELETE FROM public.%I WHERE user_id = $1', table_name) USING erased;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        counts := counts || deleted;
    END LOOP;
    DELETE FROM public.users WHERE user_id = erased;
    RETURN QUERY
    UPDATE public.erasures SET
        ratings_count = counts[1],
        watched_count = counts[2],
        blocks_count = counts[3],
        feedback_count = counts[4],
        interactions_count = counts[5]
    WHERE user_id = erased
    RETURNING *;
END
$$;

COMMENT ON FUNCTION erase_user(bigint) IS 'Deletes a user with all data of that user; returns no row for an unknown user.';

-- Column statistics show values, those of deleted rows too until the next ANALYZE, to each role that may read the
-- column. The API finds rows by unique indexes and keys, so the planner needs no statistics of these.
ALTER TABLE users
ALTER COLUMN username SET STATISTICS 0,
ALTER COLUMN email SET STATISTICS 0,
ALTER COLUMN first_name SET STATISTICS 0,
ALTER COLUMN last_name SET STATISTICS 0,
ALTER COLUMN city SET STATISTICS 0,
ALTER COLUMN state SET STATISTICS 0,
ALTER COLUMN country SET STATISTICS 0,
ALTER COLUMN birth_year SET STATISTICS 0;
DO $$
DECLARE
    expression record;
BEGIN
    -- Indexes on expressions have statistics of their own.
    FOR expression IN
        SELECT
            a.attrelid::regclass AS index_name,
            a.attnum AS place
        FROM pg_index AS i
        INNER JOIN pg_attribute AS a ON i.indexrelid = a.attrelid
        WHERE i.indrelid = 'users'::regclass AND i.indkey[a.attnum - 1] = 0
    LOOP
        EXECUTE format(
            'ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0', expression.index_name, expression.place
        );
    END LOOP;
END
$$;
ALTER TABLE feedback ALTER COLUMN recommendation_id SET STATISTICS 0;
ALTER TABLE capture.deletions ALTER COLUMN row_key SET STATISTICS 0;
ALTER TABLE user_blocks
ALTER COLUMN user_id SET STATISTICS 0,
ALTER COLUMN movie_id SET STATISTICS 0,
ALTER COLUMN owner SET STATISTICS 0,
ALTER COLUMN created_at SET STATISTICS 0,
ALTER COLUMN ends_at SET STATISTICS 0;
ALTER TABLE erasures ALTER COLUMN user_id SET STATISTICS 0;
ALTER TABLE access.api_keys ALTER COLUMN user_id SET STATISTICS 0;
ALTER TABLE access.audit_log ALTER COLUMN target SET STATISTICS 0;

GRANT EXECUTE ON FUNCTION erase_user(bigint) TO dataflix_backend;
GRANT SELECT ON erasures TO dataflix_backend;
GRANT SELECT (erasure_id, user_id, deleted_in, requested_at, verified_at) ON erasures TO dataflix_masking;
GRANT UPDATE (
    user_id, deleted_in, verified_at, warehouse_rows_count, scanned_bytes_count, scanned_files_count, searched_tables
) ON erasures TO dataflix_masking;
GRANT USAGE ON SCHEMA capture TO dataflix_masking;
GRANT SELECT, DELETE ON capture.deletions TO dataflix_masking;

RESET ROLE;

-- ANALYZE leaves the statistics that an older database has of these columns.
DELETE FROM pg_statistic
USING pg_attribute
WHERE
    pg_statistic.starelid = pg_attribute.attrelid AND pg_statistic.staattnum = pg_attribute.attnum
    AND pg_attribute.attstattarget = 0;

SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

CREATE OR REPLACE VIEW _erasures WITH (security_barrier = true) AS
SELECT
    erasure_id,
    user_id,
    requested_at,
    deleted_in,
    EXISTS (SELECT FROM public.users AS u WHERE u.user_id = erasures.user_id) AS is_id_in_use
FROM public.erasures
WHERE verified_at IS NULL;

COMMENT ON VIEW _erasures IS
'Users who must still be removed from the warehouse; is_id_in_use: a new user has the same id.';

CREATE OR REPLACE VIEW _erased_pseudonyms WITH (security_barrier = true) AS
SELECT
    e.erasure_id,
    f.pseudonym,
    (
        f.pseudonym IN (SELECT username_hash FROM pii.user_pseudonyms)
        OR f.pseudonym IN (SELECT email_hash FROM pii.user_pseudonyms)
        -- Older versions of somebody's row in the warehouse have what they had before.
        OR EXISTS (
            SELECT FROM pii.former_pseudonyms AS o
            INNER JOIN public.users AS u ON o.user_id = u.user_id
            WHERE o.pseudonym = f.pseudonym AND (o.user_id <> e.user_id OR o.gone_in > e.deleted_in)
        )
    ) AS is_in_use
FROM public.erasures AS e
INNER JOIN pii.former_pseudonyms AS f ON e.user_id = f.user_id
WHERE e.verified_at IS NULL AND f.gone_in <= e.deleted_in;

COMMENT ON VIEW _erased_pseudonyms IS
'What the warehouse''s files are searched for; is_in_use: a user has it or had it, after signing up again for instance.';

CREATE OR REPLACE VIEW _erased_feedback WITH (security_barrier = true) AS
SELECT
    d.deletion_id,
    d.row_key[1] AS recommendation_id,
    d.row_key[2]::bigint AS movie_id,
    d.row_key[3] AS event,
    EXISTS (
        SELECT FROM public.feedback AS f
        WHERE f.recommendation_id = d.row_key[1] AND f.movie_id = d.row_key[2]::bigint AND f.event = d.row_key[3]
    ) AS is_back
FROM capture.deletions AS d
WHERE
    d.table_name = 'feedback' AND d.row_key IS NOT NULL
    AND EXISTS (SELECT FROM public.erasures AS e WHERE e.verified_at IS NULL AND d.last_xid <= e.deleted_in);

COMMENT ON VIEW _erased_feedback IS
'Keys of all feedback that was deleted until the last pending erasure; they do not say whose it was.';

-- The only change that the ELT may make here: it removes the user from the record, from the list of deleted keys, which
-- shows what the person had rated, and from the former pseudonyms.
DROP FUNCTION IF EXISTS _erasure_verified(bigint, bigint, bigint);
DROP FUNCTION IF EXISTS _erasure_verified(bigint, bigint, bigint, bigint, text [], bigint []);
-- All erasures of a run at once: each statement reads the list of deleted keys, which is long when many are erased.
CREATE OR REPLACE FUNCTION _erasures_verified(
    verified bigint [],
    removed_rows bigint,
    scanned_bytes bigint,
    scanned_files bigint DEFAULT NULL,
    searched text [] DEFAULT NULL,
    feedback_deletions bigint [] DEFAULT '{}'
)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH pending AS (
        SELECT
            user_id::text AS user_key,
            deleted_in
        FROM public.erasures
        WHERE erasure_id = ANY (verified) AND verified_at IS NULL
    )
    -- Later deletions are those of a new user with the same id, and loads may still need them.
    DELETE FROM capture.deletions USING pending
    WHERE
        deletions.table_name IN ('users', 'watched_movies', 'ratings', 'interactions')
        AND deletions.row_key[1] = pending.user_key AND deletions.last_xid <= pending.deleted_in;
    -- The key of feedback does not say whose it was, and the person may have lost some before, so all goes. The ELT has
    -- removed these keys from the warehouse, so no load needs their deletions.
    DELETE FROM capture.deletions
    WHERE
        deletions.deletion_id = ANY (feedback_deletions)
        AND deletions.table_name = 'feedback'
        AND deletions.last_xid <= (
            SELECT deleted_in
            FROM public.erasures
            WHERE erasure_id = ANY (verified) AND verified_at IS NULL
            ORDER BY deleted_in DESC
            LIMIT 1
        );
    WITH pending AS (
        SELECT
            user_id,
            deleted_in
        FROM public.erasures
        WHERE erasure_id = ANY (verified) AND verified_at IS NULL
    )
    DELETE FROM pii.former_pseudonyms USING pending
    WHERE former_pseudonyms.user_id = pending.user_id AND former_pseudonyms.gone_in <= pending.deleted_in;
    WITH recorded AS (
        UPDATE public.erasures SET
            user_id = NULL,
            deleted_in = NULL,
            verified_at = clock_timestamp(),
            warehouse_rows_count = removed_rows,
            scanned_bytes_count = scanned_bytes,
            scanned_files_count = scanned_files,
            searched_tables = searched
        WHERE erasure_id = ANY (verified) AND verified_at IS NULL
        RETURNING erasure_id
    )
    SELECT count(*) FROM recorded;
END;

COMMENT ON FUNCTION _erasures_verified(bigint [], bigint, bigint, bigint, text [], bigint []) IS
'Records that nothing is left in the warehouse, and removes the users from the records; returns how many were pending.';

GRANT SELECT ON _erasures, _erased_pseudonyms, _erased_feedback TO elt_reader;
GRANT EXECUTE ON FUNCTION _erasures_verified(bigint [], bigint, bigint, bigint, text [], bigint []) TO elt_reader;

COMMIT;
