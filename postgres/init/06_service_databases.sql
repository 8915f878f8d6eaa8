-- A database and a role of its own for each service that keeps its state in Postgres.
--
-- Run by psql as a superuser. Safe to run again: it keeps what exists and sets passwords to those of
-- the environment.
\set ON_ERROR_STOP on

-- A failing statement must not put a password into the server's log.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';

\set airflow_password ''
\set mlflow_password ''
\set superset_password ''
\getenv airflow_password DATAFLIX_POSTGRES_AIRFLOW_PASSWORD
\getenv mlflow_password DATAFLIX_POSTGRES_MLFLOW_PASSWORD
\getenv superset_password DATAFLIX_POSTGRES_SUPERSET_PASSWORD

-- A NULL test instead of the value, so that psql does not print a secret.
SELECT
    set_config('dataflix.airflow_password', :'airflow_password', false) IS NOT NULL AS airflow_password_read,
    set_config('dataflix.mlflow_password', :'mlflow_password', false) IS NOT NULL AS mlflow_password_read,
    set_config('dataflix.superset_password', :'superset_password', false) IS NOT NULL AS superset_password_read;

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['airflow', 'mlflow', 'superset'] LOOP
        IF current_setting(format('dataflix.%s_password', service)) = '' THEN
            RAISE EXCEPTION 'DATAFLIX_POSTGRES_%_PASSWORD is not set; export it (run.sh writes it to .env) and run this file again',
                upper(service);
        END IF;
    END LOOP;
END
$$;

SELECT format('CREATE ROLE %I', service.name)
FROM (VALUES ('airflow'), ('mlflow'), ('superset')) AS service (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service.name)
\gexec

ALTER ROLE airflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'airflow_password';
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'mlflow_password';
ALTER ROLE superset LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'superset_password';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', service.name, service.name)
FROM (VALUES ('airflow'), ('mlflow'), ('superset')) AS service (name)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = service.name)
\gexec

REVOKE ALL ON DATABASE airflow FROM PUBLIC;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
REVOKE ALL ON DATABASE superset FROM PUBLIC;
