"""The init files can be run again, say what they miss, and keep secrets out of sight."""

from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_stack.errors import StackError
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer

INIT = Path(__file__).resolve().parents[1] / "init"
SECRETS = {
    "01_roles.sql": [
        "DATAFLIX_POSTGRES_BACKEND_PASSWORD",
        "DATAFLIX_POSTGRES_ELT_PASSWORD",
        "DATAFLIX_POSTGRES_COPIER_PASSWORD",
    ],
    "04_pseudonyms.sql": ["DATAFLIX_PII_KEY"],
    "06_service_databases.sql": [
        "DATAFLIX_POSTGRES_AIRFLOW_PASSWORD",
        "DATAFLIX_POSTGRES_MLFLOW_PASSWORD",
        "DATAFLIX_POSTGRES_SUPERSET_PASSWORD",
    ],
}


def run(server: PostgresServer, file: str, environ: dict[str, str]) -> str:
    return cluster.run_sql(
        host=server.host,
        port=server.port,
        dbname=server.dbname,
        password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        arguments=["-f", str(INIT / file)],
        environ=environ,
    )


def catalog(connection: Connection) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid, relname, relacl::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text IN ('public', 'pii', 'masked') ORDER BY oid"
        )
        found: list[object] = list(cursor.fetchall())
        cursor.execute("SELECT oid, rolname, rolconfig::text FROM pg_roles ORDER BY oid")
        return found + cursor.fetchall()


def test_running_all_again_changes_nothing(server: PostgresServer, admin: Connection) -> None:
    with admin.cursor() as cursor:
        cursor.execute("INSERT INTO public.users (username, email) VALUES ('ann', 'ann@example.org')")
        cursor.execute("SELECT * FROM masked.users")
        before = (cursor.fetchall(), catalog(admin))
        for file in sorted(INIT.glob("*.sql")):
            run(server, file.name, server.environ)
        cursor.execute("SELECT * FROM masked.users")
        assert (cursor.fetchall(), catalog(admin)) == before


@pytest.mark.parametrize(
    ("file", "variable"), [(file, variable) for file, variables in SECRETS.items() for variable in variables]
)
def test_a_missing_secret_is_named(server: PostgresServer, file: str, variable: str) -> None:
    environ = {name: value for name, value in server.environ.items() if name != variable}
    with pytest.raises(StackError, match=variable):
        run(server, file, environ)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("ab" * 31, "has 62 characters"),
        ("zz" * 32, "must be 64 hexadecimal digits"),
        ("ab" * 32, "not the key this database was masked with"),
    ],
)
def test_a_wrong_key_is_refused(server: PostgresServer, key: str, complaint: str) -> None:
    with pytest.raises(StackError, match=complaint) as refused:
        run(server, "04_pseudonyms.sql", server.environ | {"DATAFLIX_PII_KEY": key})
    assert key not in str(refused.value)


def test_a_database_in_another_encoding_is_refused(server: PostgresServer, admin: Connection) -> None:
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StackError, match="need UTF8"):
            cluster.run_sql(
                host=server.host,
                port=server.port,
                dbname="latin",
                password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
                arguments=["-f", str(INIT / "01_roles.sql")],
                environ=server.environ,
            )
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP DATABASE latin")


def test_secrets_stay_out_of_output_and_log(server: PostgresServer, admin: Connection) -> None:
    secrets = [server.environ[variable] for variables in SECRETS.values() for variable in variables]
    log = server.data.parent / "postgres.log"
    with admin.cursor() as cursor:
        for setting in (
            "log_statement = 'all'",
            "log_min_error_statement = 'error'",
            "log_min_duration_statement = 0",
        ):
            cursor.execute(f"ALTER SYSTEM SET {setting}")
        cursor.execute("SELECT pg_reload_conf()")
    try:
        output = "".join(run(server, file, server.environ) for file in SECRETS)
        with psycopg2.connect(server.dsn("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 'the log is on'")
    finally:
        with admin.cursor() as cursor:
            cursor.execute("ALTER SYSTEM RESET ALL")
            cursor.execute("SELECT pg_reload_conf()")
    logged = log.read_text()
    assert "the log is on" in logged
    assert not [secret for secret in secrets if secret in output + logged]


def test_an_older_view_of_users_is_replaced_and_loaded_in_full(
    server: PostgresServer, admin: Connection
) -> None:
    """It shows cities and years of birth; a load of the changes alone would leave these in the warehouse."""
    tracking = "SELECT tracking_id FROM capture.tracked WHERE table_name = 'users'"
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (username, email, city, birth_year) VALUES ('a', 'a@b', 'Oslo', 1984)"
        )
        cursor.execute("GRANT SELECT (city) ON users TO dataflix_masking; SET ROLE dataflix_masking")
        cursor.execute("SELECT pg_get_viewdef('masked.users')")
        ((view,),) = cursor.fetchall()
        older = (
            str(view)
            .replace("NULL::text AS city", "u.city")
            .replace("masked._decade(u.birth_year) AS birth_year", "u.birth_year")
        )
        cursor.execute(f"CREATE OR REPLACE VIEW masked.users WITH (security_barrier = true) AS {older}")
        cursor.execute("RESET ROLE; SELECT city, birth_year FROM masked.users")
        assert cursor.fetchall() == [("Oslo", 1984)]
        found = []
        for _ in range(3):
            cursor.execute(tracking)
            found += cursor.fetchall()
            run(server, "05_masked_views.sql", server.environ)
        cursor.execute("SELECT city, birth_year FROM masked.users")
        assert cursor.fetchall() == [(None, 1980)]
        cursor.execute("SELECT has_column_privilege('dataflix_masking', 'users', 'city', 'SELECT')")
        assert cursor.fetchall() == [(False,)]
    assert found[0] != found[1] == found[2]


def test_an_older_rule_for_names_makes_the_next_load_a_full_one(
    server: PostgresServer, admin: Connection
) -> None:
    found = []
    with admin.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION masked._masked_name(name text) RETURNS text LANGUAGE sql IMMUTABLE"
            " PARALLEL SAFE RETURN left(name, 1) || '***'"
        )
        for _ in range(3):
            cursor.execute("SELECT tracking_id FROM capture.tracked WHERE table_name = 'users'")
            found += cursor.fetchall()
            run(server, "04_pseudonyms.sql", server.environ)
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize(
    ("foreign", "named"),
    [
        ("CREATE TABLE rental (id int); CREATE TABLE customer (id int)", r"public\.customer, public\.rental"),
        ("CREATE SCHEMA shop; CREATE TABLE shop.users (id int)", r"shop\.users"),
        # Ours has this name, too, but another owner.
        ("CREATE TABLE users (id int)", r"public\.users"),
        ("CREATE VIEW everything AS SELECT 1 AS one", r"public\.everything"),
    ],
)
def test_a_database_of_another_application_is_refused_before_anything_is_written(
    server: PostgresServer, admin: Connection, foreign: str, named: str
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("CREATE ROLE its_owner")
        cursor.execute("CREATE DATABASE its_own OWNER its_owner")
    try:
        with psycopg2.connect(server.dsn("postgres", "its_own")) as its_own, its_own.cursor() as cursor:
            cursor.execute("GRANT CREATE ON SCHEMA public TO its_owner; SET ROLE its_owner")
            cursor.execute(foreign)
        its_own.close()
        what = (
            "SELECT (SELECT datacl FROM pg_database WHERE datname = 'its_own')::text,"
            " (SELECT count(*) FROM pg_roles)"
        )
        with admin.cursor() as cursor:
            cursor.execute(what)
            before = cursor.fetchall()
        with pytest.raises(StackError, match=rf"its_own has tables of another application \({named}\)"):
            cluster.apply_init(
                host=server.host,
                port=server.port,
                dbname="its_own",
                password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
                environ=server.environ,
            )
        with admin.cursor() as cursor:
            cursor.execute(what)
            assert cursor.fetchall() == before
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP DATABASE its_own")
            cursor.execute("DROP ROLE its_owner")


def test_a_table_of_ones_own_beside_ours_is_no_reason_to_refuse(
    server: PostgresServer, admin: Connection
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (id int)")
        try:
            run(server, "00_own_database.sql", server.environ)
        finally:
            cursor.execute("DROP TABLE notes")
