"""Attacks with the copier's password: it writes what a copy writes, and nothing else."""

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from dataflix_testkit import PostgresServer


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM public.users",
        "TRUNCATE public.users CASCADE",
        "DELETE FROM source.people",
        "UPDATE source.people SET source_key = 'x'",
        "SELECT * FROM public.erasures",
        "SELECT * FROM public.user_blocks",
        "SELECT * FROM public.feedback",
        "SELECT * FROM access.api_keys",
        "SELECT * FROM access.api_key_secrets",
        "SELECT * FROM capture.deletions",
        "SELECT * FROM masked.users",
        "SELECT * FROM pii.hmac_key",
        "SELECT * FROM pii.user_pseudonyms",
        "SELECT * FROM pii.suppression_key",
        "SELECT * FROM pii.suppressed_people",
        "SELECT pii.source_hash('x')",
        "TABLE pg_catalog.pg_authid",
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA mine",
        "DO $$ BEGIN NULL; END $$",
        "SET ROLE dataflix_owner",
        "ALTER TABLE public.users DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ],
)
def test_it_may_do_no_more_than_a_copy(server: PostgresServer, attack: str) -> None:
    connection = psycopg2.connect(server.dsn("dataflix_copier"))
    try:
        with connection.cursor() as cursor, pytest.raises(InsufficientPrivilege):
            cursor.execute(attack)
    finally:
        connection.close()


@pytest.mark.parametrize("dbname", ["postgres", "airflow", "mlflow", "superset"])
def test_no_other_database_lets_it_in(server: PostgresServer, dbname: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(server.dsn("dataflix_copier", dbname))
