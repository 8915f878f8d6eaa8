-- Refuses a database that belongs to another application, before anything is written.
--
-- The files after this one create our tables in the connected database and take rights from everybody. An application
-- whose own roles live by these rights would be locked out.
--
-- Run by psql as a superuser, connected to our database. Changes nothing.
\set ON_ERROR_STOP on

DO $$
DECLARE
    examples text;
BEGIN
    -- Once our tables are there, it is ours, whatever else somebody has put into it.
    IF EXISTS (
        SELECT FROM pg_class AS c
        WHERE
            c.oid = to_regclass('public.users')
            AND pg_get_userbyid(c.relowner) = 'dataflix_owner'
    ) THEN
        RETURN;
    END IF;
    SELECT string_agg(foreign_table.name, ', ')
    INTO examples
    FROM (
        SELECT format('%I.%I', n.nspname, c.relname) AS name
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        WHERE
            c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
            -- A first start that was interrupted leaves some of ours.
            AND pg_get_userbyid(c.relowner) NOT IN ('dataflix_owner', 'dataflix_pii', 'dataflix_masking')
            -- What an extension brought is nobody's data.
            AND NOT EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
            )
        ORDER BY n.nspname, c.relname
        LIMIT 3
    ) AS foreign_table;
    IF examples IS NOT NULL THEN
        RAISE EXCEPTION 'the database % has tables of another application (%), and nothing was changed in it',
            current_database(), examples
            USING HINT = 'DATAFLIX_POSTGRES_* must name a database of our own. To recommend from another application''s'
            ' database, name it by DATAFLIX_SOURCE_* and start with ./run.sh --source dataflix.yml.';
    END IF;
END
$$;
