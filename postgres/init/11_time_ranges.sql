-- One range for every time that people and programs write: what the warehouse's DateTime64 and Python can hold.
-- Other columns of type timestamptz only ever get the server's own clock.
--
-- Run by psql as a superuser after 10_erasures.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = public;

DO $$
DECLARE
    found record;
    outside bigint;
    condition text;
BEGIN
    FOR found IN
        SELECT
            c.relname AS table_name,
            a.attname AS column_name,
            format('%s_%s_range', c.relname, a.attname) AS constraint_name
        FROM pg_class AS c
        INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
        WHERE
            c.relname IN ('users', 'movies', 'watched_movies', 'ratings', 'feedback', 'ranking_rules', 'user_blocks')
            AND c.relnamespace = 'public'::regnamespace
            AND a.atttypid = 'timestamptz'::regtype AND NOT a.attisdropped
            AND NOT EXISTS (
                SELECT FROM pg_constraint AS k
                WHERE k.conrelid = c.oid AND k.conname = format('%s_%s_range', c.relname, a.attname) AND k.convalidated
            )
        ORDER BY c.relname, a.attnum
    LOOP
        condition := format(
            $f$%I BETWEEN '1900-01-01 00:00:00+00' AND '2299-12-31 23:59:59.999999+00'$f$, found.column_name
        );
        IF NOT EXISTS (
            SELECT FROM pg_constraint AS k
            WHERE k.conrelid = to_regclass(found.table_name) AND k.conname = found.constraint_name
        ) THEN
            -- NOT VALID: it holds for every row that is written from now on.
            EXECUTE format(
                'ALTER TABLE %I ADD CONSTRAINT %I CHECK (%s) NOT VALID', found.table_name, found.constraint_name, condition
            );
        END IF;
        EXECUTE format('SELECT count(*) FROM %I WHERE NOT %s', found.table_name, condition) INTO outside;
        IF outside > 0 THEN
            RAISE WARNING '% row(s) of %.% have a time outside of 1900 to 2299', outside, found.table_name, found.column_name
                USING HINT = 'The API shows the nearest time that it can, and no load of the table succeeds. '
                'Correct the rows and run this file again.';
        ELSE
            EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', found.table_name, found.constraint_name);
        END IF;
    END LOOP;
END
$$;

COMMIT;
