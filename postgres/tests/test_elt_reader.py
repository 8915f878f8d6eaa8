"""Attacks with the ELT's password: it must read the masked views and learn nothing else."""

import hashlib
import hmac

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_testkit import PostgresServer

EMAIL, USERNAME, LAST_NAME = "carla.unmistakable@example.org", "carlaunmistakable", "Unmistakable"


@pytest.fixture
def secrets(admin: Connection, pii_key: bytes) -> list[str]:
    """A user is in the tables; returned is every text that must never be seen."""
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.users (username, email, first_name, last_name) VALUES (%s, %s, 'Carla', %s)",
            (USERNAME, EMAIL, LAST_NAME),
        )
        cursor.execute("ANALYZE")
        cursor.execute("SELECT encode(inner_block, 'hex'), encode(outer_block, 'hex') FROM pii.hmac_key")
        blocks = cursor.fetchone() or ()
    # The first 64 hexadecimal digits of a block hold the key.
    return [EMAIL, USERNAME, LAST_NAME, pii_key.hex(), *(str(block)[:64] for block in blocks)]


def assert_free_of(secrets: list[str], text: str) -> None:
    assert not [secret for secret in secrets if secret.lower() in text.lower()]


@pytest.mark.parametrize(
    "attack",
    [
        "SELECT * FROM public.users",
        "SELECT * FROM public.movies",
        "SELECT * FROM public.ratings",
        "SELECT * FROM public.watched_movies",
        "SELECT * FROM public.feedback",
        "SELECT * FROM public.interactions",
        "SELECT * FROM source.people",
        "SELECT * FROM source.items",
        "SELECT * FROM source.event_kinds",
        "SELECT * FROM source.copies",
        "SELECT * FROM public.user_blocks",
        "SELECT * FROM public.ranking_rules",
        "SELECT email FROM public.users WHERE false",
        "SELECT * FROM public.erasures",
        "SELECT * FROM access.api_keys",
        "SELECT * FROM access.api_key_secrets",
        "SELECT * FROM access.audit_log",
        "SELECT * FROM capture.deletions",
        "SELECT * FROM capture.ledger",
        "SELECT * FROM capture.tracked",
        "SELECT capture.row_hash('x')",
        "SELECT public.erase_user(1)",
        "SELECT capture.compact()",
        "SELECT capture.prune('0 s')",
        "SELECT * FROM pii.user_pseudonyms",
        "SELECT * FROM pii.hmac_key",
        "TABLE pg_catalog.pg_authid",
        "TABLE pg_catalog.pg_statistic",
        "SELECT pii.hmac_sha256(''::bytea, ''::bytea, 'x')",
        "SELECT query_to_xml('SELECT * FROM public.users', true, true, '')",
        "SELECT table_to_xml('public.users', true, true, '')",
        "SELECT schema_to_xml('pii', true, true, '')",
        "COPY public.users TO STDOUT",
        "COPY (SELECT 1) TO '/tmp/loot'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "COPY public.users FROM PROGRAM 'cat'",
        "COPY (SELECT email FROM public.users) TO STDOUT",
        "EXPLAIN SELECT * FROM public.users",
        "BEGIN; LOCK TABLE public.users",
        "ANALYZE (VERBOSE) public.users",
        "CREATE STATISTICS masked.loot ON user_id, rating FROM public.ratings",
        "CREATE RULE loot AS ON SELECT TO masked.users DO INSTEAD SELECT 1",
        "CREATE TRIGGER loot AFTER INSERT ON masked.users EXECUTE FUNCTION pii.keep_user_pseudonyms()",
        "ALTER VIEW masked.users RESET (security_barrier)",
        "DROP VIEW masked.users",
        "CREATE POLICY loot ON public.users USING (true)",
        "SELECT pg_read_binary_file('global/pg_control')",
        "SELECT pg_stat_file('PG_VERSION')",
        "SELECT pg_ls_logdir()",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_create_logical_replication_slot('loot', 'test_decoding')",
        "SELECT * FROM pg_show_all_file_settings()",
        "SELECT pg_reload_conf()",
        "LOAD 'auto_explain'",
        "CREATE PUBLICATION loot FOR ALL TABLES",
        "CREATE DATABASE loot",
        "CREATE FOREIGN DATA WRAPPER loot",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SET ROLE dataflix_masking",
        "SET ROLE dataflix_pii",
        "SET ROLE dataflix_owner",
        "SET ROLE dataflix_backend",
        "SET SESSION AUTHORIZATION postgres",
        "SET session_replication_role = replica",
        "ALTER SYSTEM SET log_statement = 'all'",
        "ALTER ROLE elt_reader SUPERUSER",
        "GRANT dataflix_pii TO elt_reader",
        "GRANT SELECT ON public.users TO elt_reader",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE masked.mine (a int)",
        "CREATE VIEW masked.mine AS SELECT 1",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION masked.leak(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR masked.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
        "CREATE AGGREGATE masked.leak(text) (SFUNC = textcat, STYPE = text)",
        "DO $$ BEGIN PERFORM 1; END $$",
        "SELECT lo_from_bytea(0, 'loot')",
        "SELECT lo_create(0)",
        "INSERT INTO masked.movies (movie_id, title) VALUES (1, 'Loot')",
        "DELETE FROM masked.users",
        "DELETE FROM masked._deletions",
        "UPDATE masked._erasures SET user_id = 1",
        "UPDATE masked._tracked SET complete_from = '0'",
        "UPDATE masked.users SET city = 'Loot'",
        "TRUNCATE public.users",
        "CREATE EXTENSION vector",
    ],
)
def test_attack_is_refused(reader: Connection, secrets: list[str], attack: str) -> None:
    with reader.cursor() as cursor:
        # The role's read-only default is a courtesy that anybody can switch off; rights must hold alone.
        cursor.execute("SET default_transaction_read_only = off")
        with pytest.raises(
            (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState)
        ) as refused:
            cursor.execute(attack)
    assert_free_of(secrets, str(refused.value))


def test_reader_may_use_exactly_these_views(admin: Connection) -> None:
    with admin.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
            "AND relkind IN ('r', 'v', 'm', 'f', 'p', 'S') "
            "AND CASE relkind "
            "WHEN 'S' THEN has_sequence_privilege('elt_reader', oid, 'USAGE, SELECT, UPDATE') "
            "ELSE has_any_column_privilege('elt_reader', oid, 'SELECT, INSERT, UPDATE, REFERENCES') END"
        )
        readable = {name for (name,) in cursor.fetchall()}
        cursor.execute(
            "SELECT pg_has_role('elt_reader', oid, 'MEMBER') FROM pg_roles WHERE rolname <> 'elt_reader'"
        )
        memberships = [is_member for (is_member,) in cursor.fetchall() if is_member]
        cursor.execute(
            "SELECT relname, reloptions, relowner::regrole::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text = 'masked'"
        )
        views = cursor.fetchall()
    tables = ("users", "movies", "ratings", "watched_movies", "feedback")
    copied = ("interactions", "event_kinds", "item_attributes", "_source")
    helpers = ("_tracked", "_deletions", "_erasures", "_erased_pseudonyms", "_erased_feedback")
    assert readable == {f"masked.{view}" for view in (*tables, *copied, *helpers)}
    assert memberships == []
    for _, options, owner in views:
        assert "security_barrier=true" in options
        assert owner == "dataflix_masking"


def test_no_catalog_holds_the_key_or_a_raw_value(reader: Connection, secrets: list[str]) -> None:
    with reader.cursor() as cursor:
        cursor.execute(
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class "
            "WHERE relkind IN ('r', 'v') AND has_schema_privilege(relnamespace, 'USAGE') "
            "AND has_table_privilege(oid, 'SELECT')"
        )
        relations = cursor.fetchall()
        for schema, name in relations:
            try:
                cursor.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(schema, name)))
            except psycopg2.errors.InsufficientPrivilege:
                continue  # a view over something that is refused
            for (row,) in cursor:
                assert_free_of(secrets, row or "")
    assert len(relations) > 100


@pytest.mark.parametrize(
    "view",
    [
        "users",
        "movies",
        "watched_movies",
        "ratings",
        "feedback",
        "interactions",
        "item_attributes",
        "_source",
    ],
)
def test_definitions_and_plans_hold_no_key(reader: Connection, secrets: list[str], view: str) -> None:
    with reader.cursor() as cursor:
        cursor.execute("SELECT pg_get_viewdef(%s::regclass, true)", (f"masked.{view}",))
        texts = [str(cursor.fetchall())]
        for options in ("VERBOSE", "ANALYZE, VERBOSE, BUFFERS, SETTINGS"):
            cursor.execute(f"EXPLAIN ({options}) SELECT * FROM masked.{view}")
            texts.append(str(cursor.fetchall()))
        cursor.execute(
            "SELECT prosrc, pg_get_functiondef(oid) FROM pg_proc WHERE prokind = 'f' AND prosrc LIKE '%pii%'"
        )
        texts.append(str(cursor.fetchall()))
        cursor.execute("SELECT * FROM pg_db_role_setting")
        texts.append(str(cursor.fetchall()))
        cursor.execute("SHOW ALL")
        texts.append(str(cursor.fetchall()))
    for text in texts:
        assert_free_of(secrets, text)


def test_a_leaky_function_sees_only_what_the_view_shows(
    admin: Connection, reader: Connection, secrets: list[str]
) -> None:
    with admin.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA probe; GRANT USAGE ON SCHEMA probe TO elt_reader; "
            "CREATE FUNCTION probe.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 "
            "AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$"
        )
    try:
        with reader.cursor() as cursor:
            cursor.execute("SELECT user_id FROM masked.users AS u WHERE probe.leak(u::text)")
            assert cursor.rowcount == 1
        assert any("C***" in notice for notice in reader.notices)
        assert_free_of(secrets, str(reader.notices))
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP SCHEMA probe CASCADE")


@pytest.mark.parametrize("column", ["username_hash", "email_hash", "first_name", "last_name"])
def test_error_texts_print_masked_values_at_most(reader: Connection, secrets: list[str], column: str) -> None:
    with reader.cursor() as cursor, pytest.raises(psycopg2.DataError) as refused:
        cursor.execute(f"SELECT {column}::int FROM masked.users")
    assert_free_of(secrets, str(refused.value))


def test_others_statements_stay_hidden(admin: Connection, reader: Connection, secrets: list[str]) -> None:
    with admin.cursor() as cursor:
        cursor.execute("SELECT user_id FROM public.users WHERE email = %s", (EMAIL,))
    with reader.cursor() as cursor:
        cursor.execute("SELECT pg_stat_activity::text FROM pg_stat_activity")
        assert_free_of(secrets, str(cursor.fetchall()))


@pytest.mark.parametrize("database", ["postgres", "template1", "airflow", "mlflow", "superset"])
def test_no_other_database_lets_the_reader_in(server: PostgresServer, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(server.dsn("elt_reader", database))


def test_no_guess_of_a_value_hashes_to_its_pseudonym(
    admin: Connection, reader: Connection, secrets: list[str]
) -> None:
    """Whoever knows an address can't find its row: without the key, no derivation leads to the pseudonym."""
    with reader.cursor() as cursor:
        cursor.execute(
            "SELECT username_hash, email_hash, first_name, last_name, user_id::text FROM masked.users"
        )
        (row,) = cursor.fetchall()
        pseudonyms, shown = set(row[:2]), row[2:]
        cursor.execute("SELECT encode(sha256(%s), 'hex'), md5(%s)", (f"email:{EMAIL}".encode(), EMAIL))
        assert not pseudonyms & set(cursor.fetchone() or ())
    texts = [
        prefix + value for value in (EMAIL, USERNAME, EMAIL.upper()) for prefix in ("", "email:", "username:")
    ]
    keys = [b"", b"\0" * 32, *(text.encode() for text in (*shown, "dataflix", "pii", "key", EMAIL))]
    for text in texts:
        for name in ("md5", "sha1", "sha256", "sha512"):
            assert hashlib.new(name, text.encode()).hexdigest() not in pseudonyms
        for key in keys:
            assert hmac.new(key, text.encode(), "sha256").hexdigest() not in pseudonyms


def test_plans_and_debugging_tell_no_more_than_the_views(reader: Connection, secrets: list[str]) -> None:
    """What the server prints of its own work goes to the client that asks; a user may ask for all of it."""
    reader.notices.clear()
    with reader.cursor() as cursor:
        cursor.execute(
            "SET client_min_messages = debug5; SET debug_print_parse = on; SET debug_print_rewritten = on; "
            "SET debug_print_plan = on; SET debug_pretty_print = on"
        )
        cursor.execute("SELECT * FROM masked.users WHERE email_hash = %s", (EMAIL,))
    printed = "".join(reader.notices)
    assert "rewritten" in printed
    # Texts stand there as the numbers of their bytes, and the guess is the reader's own.
    blocks = secrets[3:]
    assert_free_of([USERNAME, LAST_NAME, *blocks], printed)
    for secret in (USERNAME, LAST_NAME):
        assert " ".join(str(byte) for byte in secret.encode()) not in printed


def test_estimates_are_no_oracle(admin: Connection, reader: Connection, secrets: list[str]) -> None:
    """The planner's estimates come from statistics; they must not tell whether a name begins with a guess."""
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.users (username, email, first_name) "
            "SELECT 'many' || i, 'many' || i || '@example.org', 'Carla' FROM generate_series(1, 500) AS i; "
            "ANALYZE"
        )
    plans = []
    with reader.cursor() as cursor:
        for guess in ("Carla", "Nobody"):
            cursor.execute("EXPLAIN SELECT * FROM masked.users WHERE first_name = %s", (guess,))
            plans.append(str(cursor.fetchall()).replace(guess, "GUESS"))
            cursor.execute("SELECT count(*) FROM pg_stats WHERE schemaname IN ('public', 'pii', 'access')")
            assert cursor.fetchone() == (0,)
    assert plans[0] == plans[1]


def test_the_one_thing_it_may_change_tells_and_does_no_more_than_it_says(
    admin: Connection, reader: Connection
) -> None:
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.users (user_id, username, email) VALUES (77, 'gone', 'gone@example.org')"
        )
        cursor.execute("DELETE FROM public.users WHERE user_id = 77")
        cursor.execute(
            "INSERT INTO public.users (user_id, username, email) VALUES (78, 'here', 'here@example.org')"
        )
    with reader.cursor() as cursor:
        cursor.execute("SELECT erasure_id FROM masked._erasures WHERE user_id = 77")
        (erasure_id,) = cursor.fetchone() or (None,)
        # The role's own default.
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("SELECT masked._erasures_verified(%s::bigint[], 1, 1)", ([erasure_id],))
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute("SELECT masked._erasures_verified(%s::bigint[], 1, 1)", ([erasure_id],))
        assert cursor.fetchone() == (1,)
        for again in ([erasure_id, -1, 78, None], [], None):
            cursor.execute("SELECT masked._erasures_verified(%s::bigint[], 2, 2)", (again,))
            assert cursor.fetchone() == (0,)
    with admin.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, warehouse_rows_count FROM erasures WHERE erasure_id = %s", (erasure_id,)
        )
        assert cursor.fetchone() == (None, 1)
        cursor.execute("SELECT count(*) FROM capture.deletions WHERE row_key[1] = '77'")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM public.users WHERE user_id = 78")
        assert cursor.fetchone() == (1,)
