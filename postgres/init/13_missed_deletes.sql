-- Deletes that no trigger saw: those of sessions that replicate, and those while triggers were switched off.
--
-- Run by psql as a superuser after 12_source.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

-- Foreign keys delete what belongs to a user or a movie. By default they do not if a logical subscriber applies the
-- delete (session_replication_role): ratings of nobody would stay, and keys of the API that open whoever gets the id.
DO $$
DECLARE
    found record;
    is_user boolean;
BEGIN
    FOR found IN
        SELECT
            t.tgname AS trigger_name,
            k.confrelid::regclass AS parent,
            k.conrelid::regclass AS child,
            p.attname AS parent_column,
            c.attname AS child_column
        FROM pg_constraint AS k
        INNER JOIN pg_trigger AS t ON k.oid = t.tgconstraint AND k.confrelid = t.tgrelid
        INNER JOIN pg_class AS r ON k.conrelid = r.oid
        INNER JOIN pg_attribute AS p ON k.confrelid = p.attrelid AND k.confkey[1] = p.attnum
        INNER JOIN pg_attribute AS c ON k.conrelid = c.attrelid AND k.conkey[1] = c.attnum
        WHERE
            t.tgfoid = '"RI_FKey_cascade_del"'::regproc AND t.tgenabled <> 'A'
            AND r.relowner IN ('dataflix_owner'::regrole, 'dataflix_pii'::regrole)
        ORDER BY k.conrelid::regclass::text, c.attname
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', found.parent, found.trigger_name);
        is_user := found.parent = 'public.users'::regclass;
        -- What earlier deletes have left behind.
        EXECUTE format(
            $f$
            WITH orphans AS (
                DELETE FROM %1$s AS child
                WHERE
                    child.%2$I IS NOT NULL
                    AND NOT EXISTS (SELECT FROM %3$s AS parent WHERE parent.%4$I = child.%2$I)
                RETURNING child.%2$I AS parent_id
            )
            INSERT INTO public.erasures (user_id) SELECT DISTINCT parent_id FROM orphans WHERE $1
            ON CONFLICT (user_id) DO UPDATE SET deleted_in = excluded.deleted_in
            $f$,
            found.child, found.child_column, found.parent, found.parent_column
        ) USING is_user;
    END LOOP;
END
$$;

-- Whoever had pseudonyms and is no user any more is still in the warehouse.
INSERT INTO public.erasures (user_id)
SELECT DISTINCT f.user_id
FROM pii.former_pseudonyms AS f
WHERE NOT EXISTS (SELECT FROM public.users AS u WHERE u.user_id = f.user_id)
ON CONFLICT (user_id) DO NOTHING;

COMMIT;
