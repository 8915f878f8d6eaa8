-- Roles of the database. Revokes all rights that everybody has by default.
--
-- Run by psql as a superuser, connected to the application's database. Safe to run again: it keeps
-- existing roles and sets their passwords to those of the environment.
\set ON_ERROR_STOP on

-- A failing statement must not put a password into the server's log.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';

-- \getenv leaves the variable unchanged if the environment does not have it.
\set backend_password ''
\set elt_password ''
\set copier_password ''
\getenv backend_password DATAFLIX_POSTGRES_BACKEND_PASSWORD
\getenv elt_password DATAFLIX_POSTGRES_ELT_PASSWORD
\getenv copier_password DATAFLIX_POSTGRES_COPIER_PASSWORD

BEGIN;

-- A NULL test instead of the value, so that psql does not print a secret.
SELECT
    set_config('dataflix.backend_password', :'backend_password', true) IS NOT NULL AS backend_password_read,
    set_config('dataflix.elt_password', :'elt_password', true) IS NOT NULL AS elt_password_read,
    set_config('dataflix.copier_password', :'copier_password', true) IS NOT NULL AS copier_password_read;

DO $$
DECLARE
    role_name text;
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'database % is encoded in %, but pseudonyms and titles need UTF8; create it with ENCODING ''UTF8''',
            current_database(), current_setting('server_encoding');
    END IF;
    FOREACH role_name IN ARRAY ARRAY['backend', 'elt', 'copier'] LOOP
        IF current_setting(format('dataflix.%s_password', role_name)) = '' THEN
            RAISE EXCEPTION 'DATAFLIX_POSTGRES_%_PASSWORD is not set; export it (run.sh writes it to .env) and run this file again',
                upper(role_name);
        END IF;
    END LOOP;
END
$$;

SELECT format('CREATE ROLE %I', wanted.role_name)
FROM (
    VALUES
    ('dataflix_owner'), ('dataflix_pii'), ('dataflix_masking'), ('dataflix_backend'), ('elt_reader'),
    ('dataflix_copier')
) AS wanted (role_name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role_name)
\gexec

-- Owners of objects. Nobody logs in as them, and no superuser owns an object of ours.
ALTER ROLE dataflix_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE dataflix_pii NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE dataflix_masking NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

COMMENT ON ROLE dataflix_owner IS 'Owns the application''s tables.';
COMMENT ON ROLE dataflix_pii IS 'Owns schema pii: the pseudonym key and the pseudonyms.';
COMMENT ON ROLE dataflix_masking IS 'Owns schema masked: the views that the ELT reads.';

-- Clients.
ALTER ROLE dataflix_backend LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'backend_password';
ALTER ROLE elt_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'elt_password';
ALTER ROLE dataflix_copier LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'copier_password';
ALTER ROLE dataflix_backend SET search_path = public;
ALTER ROLE dataflix_copier SET search_path = public;
ALTER ROLE elt_reader SET search_path = masked;
ALTER ROLE elt_reader SET default_transaction_read_only = on;

COMMENT ON ROLE dataflix_backend IS 'The API: reads and writes rows of the application''s tables.';
COMMENT ON ROLE elt_reader IS 'The ELT: reads the views of schema masked, and nothing else.';
COMMENT ON ROLE dataflix_copier IS 'The copy of another application''s database: writes what was read there.';

-- By default Postgres grants CONNECT, TEMP and more to everybody.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database
WHERE datname IN (current_database(), 'postgres', 'template1')
\gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO dataflix_backend, elt_reader, dataflix_copier', current_database())
\gexec
-- Bulk loads stage rows in temporary tables, as the owner of the tables; so does the copy.
SELECT format('GRANT TEMPORARY ON DATABASE %I TO dataflix_owner, dataflix_copier', current_database())
\gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- Otherwise a reader could run anonymous code blocks and store large objects.
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO dataflix_owner, dataflix_pii;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;

ALTER DEFAULT PRIVILEGES FOR ROLE dataflix_owner, dataflix_pii, dataflix_masking
    REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

COMMIT;
