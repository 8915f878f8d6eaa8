"""Authentication, grants, and the statement policy."""

import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflix_clickhouse.access import roles, statement_lists

from .support.api import PASSWORDS, Api

CANNOT_PARSE_TEXT = 6
ACCESS_DENIED = 497
READONLY = 164
CONSTRAINT_VIOLATION = 452
SYNTAX_ERROR = 62


@pytest.mark.parametrize("user", list(PASSWORDS))
def test_every_account_can_log_in_each_way(api: Api, user: str) -> None:
    password = api.as_user(user).password
    methods: list[dict[str, Any]] = [
        {"headers": {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}},
        {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
        {"params": {"user": user, "password": password}},
    ]
    for method in methods:
        answer = requests.post(api.url, data="SELECT 1", timeout=10, **method)
        assert answer.text == "1\n"


@pytest.mark.parametrize(
    ("user", "password"),
    [("reader", "wrong"), ("reader", ""), ("nobody", "x"), ("default", ""), ("reader ", "x"), ("", "")],
)
def test_all_wrong_credentials_get_the_same_error(api: Api, user: str, password: str) -> None:
    answer = requests.post(api.url, data="SELECT 1", auth=(user, password), timeout=10)
    assert answer.status_code == 403
    assert answer.headers["X-ClickHouse-Exception-Code"] == "516"
    assert answer.text == (
        f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, "
        "or there is no user with such name. (AUTHENTICATION_FAILED)\n"
    )


def test_a_password_of_another_user_is_wrong(api: Api) -> None:
    answer = requests.post(
        api.url, data="SELECT 1", auth=("dataflix_admin", api.as_user("reader").password), timeout=10
    )
    assert answer.status_code == 403


def test_no_credentials_get_a_login_challenge(api: Api) -> None:
    answer = requests.post(api.url, data="SELECT 1", timeout=10)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (401, "194")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "authorization", ["Bearer abc", "Basic", "Basic !!!", "Basic " + b64encode(b"x").decode()]
)
def test_malformed_authorization_is_refused(api: Api, authorization: str) -> None:
    answer = requests.post(api.url, data="SELECT 1", headers={"Authorization": authorization}, timeout=10)
    assert answer.status_code == 403


def test_credentials_in_two_ways_are_refused(api: Api) -> None:
    answer = api.post("SELECT 1", user="reader", password="x")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


ALLOWED = [
    ("elt_writer", "CREATE TABLE raw.movies__staging AS raw.movies"),
    ("elt_writer", "INSERT INTO raw.movies__staging (movie_id, title) VALUES (1, 'a')"),
    ("elt_writer", "EXCHANGE TABLES raw.movies AND raw.movies__staging"),
    ("dbt", "SELECT count() FROM raw.movies FINAL"),
    ("elt_writer", "EXCHANGE TABLES raw.movies AND raw.movies__staging"),
    ("elt_writer", "DROP TABLE raw.movies__staging"),
    ("elt_writer", "ALTER TABLE analytics.recommendations DELETE WHERE user_id = 1"),
    ("dbt", "CREATE VIEW analytics.seen AS SELECT movie_id FROM raw.movies"),
    ("dbt", "CREATE TABLE analytics.built ENGINE = MergeTree ORDER BY n AS SELECT 1 AS n"),
    ("dbt", "CREATE TABLE analytics.new ENGINE = MergeTree ORDER BY n AS SELECT 2 AS n"),
    ("dbt", "EXCHANGE TABLES analytics.built AND analytics.new"),
    ("dbt", "ALTER TABLE analytics.built COMMENT COLUMN n 'a number'"),
    ("reader", "SELECT n FROM analytics.built"),
    ("dbt", "DROP TABLE analytics.new"),
    ("dbt", "DROP TABLE analytics.built"),
    ("dbt", "DROP VIEW analytics.seen"),
    ("trainer", "CREATE TABLE analytics.recommendations__next AS analytics.recommendations"),
    ("trainer", "EXCHANGE TABLES analytics.recommendations AND analytics.recommendations__next"),
    ("trainer", "DROP TABLE analytics.recommendations__next"),
    ("trainer", "SELECT count() FROM analytics.recommendations"),
    ("reader", "SELECT count() FROM analytics.recommendations SETTINGS max_threads = 1"),
    ("reader", "SET max_threads = 1"),
    ("dataflix_admin", "SYSTEM FLUSH LOGS"),
]


def test_each_user_can_do_its_work(api: Api) -> None:
    for user, sql in ALLOWED:
        api.as_user(user).text(sql)


@pytest.mark.parametrize(
    ("user", "sql"),
    [
        ("reader", "SELECT * FROM raw.users"),
        ("reader", "EXPLAIN SELECT * FROM raw.users"),
        ("reader", "SELECT * FROM mergeTreeIndex('raw', 'users')"),
        ("reader", "DESCRIBE raw.users"),
        ("reader", "INSERT INTO analytics.recommendations (user_id) VALUES (1)"),
        ("reader", "CREATE TABLE analytics.x (a Int8) ENGINE = Memory"),
        ("reader", "CREATE TEMPORARY TABLE x (a Int8)"),
        ("reader", "DROP TABLE analytics.recommendations"),
        ("reader", "SELECT * FROM system.users"),
        ("trainer", "SELECT * FROM raw.ratings"),
        ("trainer", "CREATE TABLE analytics.x (a Int8) ENGINE = Memory"),
        ("trainer", "DROP TABLE analytics.dbt_test_results"),
        ("elt_writer", "INSERT INTO analytics.recommendations (user_id) VALUES (1)"),
        ("elt_writer", "DROP TABLE analytics.recommendations"),
        ("elt_writer", "TRUNCATE TABLE analytics.recommendations"),
        ("elt_writer", "ALTER TABLE analytics.recommendations UPDATE movie_id = 1 WHERE 1"),
        ("elt_writer", "CREATE DATABASE x"),
        ("elt_writer", "DROP DATABASE raw"),
        ("dbt", "INSERT INTO raw.movies (movie_id) VALUES (1)"),
        ("dbt", "TRUNCATE TABLE raw.movies"),
        (
            "dbt",
            "CREATE DICTIONARY analytics.d (a Int8) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
        ),
        ("dbt", "CREATE MATERIALIZED VIEW analytics.mv TO raw.movies AS SELECT 1 AS movie_id"),
    ],
)
def test_grants_hold(api: Api, user: str, sql: str) -> None:
    answer = api.as_user(user).post(sql)
    code = int(answer.headers["X-ClickHouse-Exception-Code"])
    assert code == ACCESS_DENIED or (user == "reader" and code == READONLY), answer.text
    # Errors of the engine and of the policy name the account, not the only user of the engine.
    assert f"{user}: " in answer.text or code == READONLY


def test_a_view_does_not_extend_grants(api: Api) -> None:
    api.as_user("dbt").text("CREATE VIEW analytics.peek AS SELECT * FROM raw.users")
    assert api.as_user("reader").code("SELECT * FROM analytics.peek") == ACCESS_DENIED
    api.as_user("dbt").text("DROP VIEW analytics.peek")


@pytest.mark.parametrize("user", ["reader", "trainer", "dbt", "elt_writer"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key.tsv', 'TSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', 'raw', 'users')",
        "SELECT * FROM sqlite('/tmp/x.db', 't')",
        "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
        "SELECT * FROM Python(params)",
        "SELECT * FROM `default`.`/etc/passwd`",
        "SELECT file('/etc/hostname')",
        "SELECT `file`('/etc/hostname')",
        "SELECT arrayMap(x -> file(x), ['/etc/hostname'])",
        "SELECT arrayMap(file, ['/etc/hostname'])",
        "SELECT * APPLY file FROM (SELECT '/etc/hostname')",
        "SELECT COLUMNS('x') APPLY(file) FROM (SELECT '/etc/hostname' AS x)",
        "FROM (SELECT '/etc/hostname' AS x) |> SELECT file(x)",
        "SET param_f = 'file'",
        "CREATE VIEW analytics.x AS SELECT arrayMap({f:Identifier}, ['/etc/hostname'])",
        "SELECT 1 WHERE /* ' */ file --\n('/etc/hostname') != ''",
        "SELECT * FROM format(Values, 'a String', $$(file('/etc/hostname'))$$)",
        "SELECT * FROM format('values', 'a String', '(1)')",
        "SELECT * FROM eval('SELECT 1')",
        "SET ROLE administrator",
        "/* x */ SET /* y */ ROLE ALL",
        "SET DEFAULT ROLE ALL TO default",
        "SELECT 1 PARALLEL WITH SET ROLE administrator",
        "EXECUTE AS default SELECT 1",
        "GRANT SELECT ON raw.* TO analytics_reader",
        "CREATE USER x",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "BACKUP DATABASE raw TO Disk('default', 'x')",
        "ATTACH TABLE analytics.x FROM '/tmp' (a Int8) ENGINE = MergeTree ORDER BY a",
        "DETACH TABLE analytics.recommendations",
        "CREATE TABLE analytics.x (query String, database String) ENGINE = QueryRunner",
        "CREATE TABLE analytics.x (a String) ENGINE = File(TSV, '/tmp/x')",
        "CREATE TABLE analytics.x (a String) ENGINE = Executable('x.sh', TSV)",
        "CREATE TABLE analytics.x (a String DEFAULT file('/etc/hostname')) ENGINE = Memory",
        "CREATE FUNCTION f AS (x) -> x",
        "INSERT INTO FUNCTION file('/tmp/x', 'TSV') SELECT 1",
        "SELECT 1 SETTINGS input_format_values_interpret_expressions = 1",
        "SET input_format_values_interpret_expressions = 1",
    ],
)
def test_only_the_administrator_reaches_files_servers_and_roles(api: Api, user: str, sql: str) -> None:
    code = api.as_user(user).code(sql)
    assert code in (ACCESS_DENIED, SYNTAX_ERROR) or (user == "reader" and code == READONLY)


DISKS = [
    "disk(type = 's3', endpoint = 'http://127.0.0.1:1/b/', access_key_id = 'a', secret_access_key = 'b')",
    "disk(type = 'web', endpoint = 'http://127.0.0.1:1/')",
    "disk(type = 'local_blob_storage', path = '{elsewhere}')",
    "disk(type = object_storage, object_storage_type = local, metadata_type = plain, path = '{elsewhere}')",
    "disk(type = cache, max_size = '1Mi', path = '{elsewhere}', "
    "disk = disk(type = 'local_blob_storage', path = '{elsewhere}'))",
]


@pytest.mark.parametrize("user", ["trainer", "dbt", "elt_writer", "dataflix_admin"])
def test_no_account_gives_a_table_a_disk(api: Api, user: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    account = api.as_user(user)
    table = {"elt_writer": "raw.placed", "trainer": "analytics.recommendations_placed"}.get(
        user, "analytics.placed"
    )
    create = f"CREATE TABLE {table} (a Int8) ENGINE = MergeTree ORDER BY a"
    for disk in DISKS:
        for spelling in ("disk =", "`disk`=", "index_granularity = 8192, /* */ disk\n="):
            sql = f"{create} SETTINGS {spelling} {disk.format(elsewhere=elsewhere)}"
            assert account.code(sql) in (ACCESS_DENIED, SYNTAX_ERROR)
    assert not elsewhere.exists()
    # A disk that was made and refused would make this wait for ever.
    account.text(create)
    account.text(f"DROP TABLE {table} SYNC")


@pytest.mark.parametrize("user", ["dbt", "elt_writer"])
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE {place}.x (a Int8) ENGINE = EmbeddedRocksDB(0, '/tmp/x') PRIMARY KEY a",
        "CREATE TABLE {place}.x (a Int8) ENGINE = Log",
        "CREATE TABLE {place}.x (a Int8) ENGINE = Set",
        "CREATE TABLE {place}.x (a Int8) ENGINE = S3('http://127.0.0.1:1/x', 'TSV')",
        "CREATE TABLE {place}.x (a Int8) ENGINE = Merge('raw', '.*')",
        "CREATE TABLE {place}.x (a Int8) ENGINE = Buffer('raw', 'users', 1, 1, 1, 1, 1, 1, 1)",
        "CREATE TEMPORARY TABLE x (a Int8) ENGINE = File(TSV, '/tmp/x')",
        "CREATE TABLE {place}.x AS filesystem('/etc')",
        "CREATE TABLE {place}.x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS storage_policy = 'default'",
        "CREATE TABLE {place}.x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = 'default'",
        "CREATE TABLE {place}.x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS table_disk = 1",
        "ALTER TABLE {place}.{mine} MODIFY SETTING storage_policy = 'x'",
        "ALTER TABLE {place}.{mine} MODIFY SETTING ttl_only_drop_parts = 1, disk = 'x'",
        "ALTER TABLE {place}.{mine} FREEZE",
        "ALTER TABLE {place}.{mine} FREEZE PARTITION tuple() WITH NAME 'x'",
        "ALTER TABLE {place}.{mine} FETCH PARTITION tuple() FROM '/x'",
        "ALTER TABLE {place}.{mine} MOVE PARTITION tuple() TO DISK 'x'",
        "CREATE MATERIALIZED VIEW {place}.x ENGINE = Memory AS SELECT 1 AS a",
        "CREATE MATERIALIZED VIEW {place}.x REFRESH EVERY 1 SECOND (a String) ENGINE = Memory AS "
        "SELECT last_error_message AS a FROM system.errors",
        "CREATE VIEW {place}.x DEFINER = default SQL SECURITY DEFINER AS SELECT * FROM raw.users",
        "CREATE VIEW {place}.x SQL SECURITY NONE AS SELECT * FROM raw.users",
        "SELECT 1 SETTINGS profile = 'dataflix_admin'",
        "SELECT * FROM (SELECT 1 SETTINGS max_threads = 1, `profile` = 'dataflix_admin')",
        "SET profile = 'dataflix_admin'",
        "SET max_threads = 1, profile = 'dataflix_admin'",
        "INSERT INTO FUNCTION url('http://127.0.0.1:1/', 'TSV', 'a Int8') SELECT 1",
    ],
)
def test_what_is_not_on_a_list_is_refused_before_it_is_made(api: Api, user: str, sql: str) -> None:
    place, mine = {"dbt": ("analytics", "recommendations"), "elt_writer": ("raw", "users")}[user]
    account = api.as_user(user)
    answer = account.post(sql.format(place=place, mine=mine))
    assert "Not enough privileges" in answer.text
    assert answer.status_code == 403
    assert account.post("SELECT 1", profile="dataflix_admin").status_code == 403


def test_what_dbt_and_the_loads_create_is_on_the_lists(api: Api) -> None:
    dbt = api.as_user("dbt")
    for sql in (
        "CREATE TABLE analytics.listed ENGINE = MergeTree() ORDER BY a"
        " SETTINGS index_granularity = 77, replicated_deduplication_window = 0"
        " AS SELECT 1 AS a SETTINGS join_algorithm = 'full_sorting_merge'",
        "CREATE TABLE analytics.listed_too AS analytics.listed",
        "CREATE VIEW analytics.listed_view SQL SECURITY INVOKER AS SELECT * FROM analytics.listed",
        "ALTER TABLE analytics.listed ADD COLUMN disk String, MODIFY SETTING ttl_only_drop_parts = 1",
        "ALTER TABLE analytics.listed DELETE WHERE disk = 'x' SETTINGS mutations_sync = 2",
        "SELECT disk, 1 AS profile FROM analytics.listed WHERE profile = 1",
        "CREATE TEMPORARY TABLE t ENGINE Memory AS SELECT 1 AS a",
        *(f"DROP TABLE analytics.{name}" for name in ("listed", "listed_too", "listed_view")),
    ):
        dbt.text(sql)


def test_each_function_setting_and_table_of_the_engine_was_judged(api: Api) -> None:
    """A new version of the engine has new ones; put each on one of the lists."""
    judged = statement_lists.ALLOWED_TABLE_FUNCTIONS | statement_lists.REFUSED_TABLE_FUNCTIONS | {"file"}
    assert set(api.text("SELECT lower(name) FROM system.table_functions").split()) == judged
    texts = api.text(
        "SELECT name FROM system.settings"
        " WHERE type IN ('String', 'Map', 'URI', 'Dialect', 'SQLSecurityType', 'Int32')"
    )
    assert set(texts.split()) == set(roles.FIXED_TEXTS) | roles.FREE_TEXTS
    constant = api.text("SELECT name FROM system.settings WHERE readonly")
    assert set(roles.FIXED_TEXTS) <= set(constant.split())
    assert roles.FREE_TEXTS.isdisjoint(constant.split())
    engines = set(api.text("SELECT name FROM system.table_engines").split())
    assert engines >= statement_lists.ALLOWED_ENGINES


HIDDEN = [
    *("asynchronous_inserts", "backups", "clusters", "dictionaries", "disks", "errors", "mutations"),
    *("processes", "query_cache", "parts", "replication_queue", "stack_trace", "view_refreshes", "warnings"),
]


def test_no_error_or_statement_of_others_shows_in_system(api: Api) -> None:
    """The engine keeps the text of the last error of each kind, and it quotes values."""
    secret = "a personal value"
    assert api.as_user("elt_writer").code(f"SELECT toUInt64('{secret}')") == CANNOT_PARSE_TEXT
    assert secret in api.text("SELECT arrayStringConcat(groupArray(last_error_message)) FROM system.errors")
    sql = f"SELECT '{secret}', sleepEachRow(1) FROM numbers(1000) SETTINGS max_block_size = 1"
    slow = api.connect(sql.encode(), headers={"Content-Length": str(len(sql))})
    while not api.running("sleepEachRow(1) FROM numbers(1000)"):
        time.sleep(0.02)
    tables = set(api.text("SELECT name FROM system.tables WHERE database = 'system'").split())
    assert tables >= set(HIDDEN)
    for user in ("reader", "trainer", "dbt"):
        account = api.as_user(user)
        for table in sorted(tables - roles.OPEN_SYSTEM_TABLES):
            answer = account.post(f"SELECT * FROM system.{table} LIMIT 1")
            assert answer.text == "" or answer.status_code >= 400, f"{user}: {table}: {answer.text}"
        for sql in (
            *("SHOW PROCESSLIST", "SELECT * FROM merge('system', '^(errors|processes)$')"),
            *("SELECT * FROM view(SELECT * FROM system.errors)", "SELECT * FROM errors"),
            "WITH e AS (SELECT * FROM system.processes) SELECT * FROM e",
        ):
            assert secret not in account.post(sql, database="system").text
    slow.close()
    # What 40_roles.sql grants stays visible: erasure and builds need it.
    writer = api.as_user("elt_writer")
    assert int(writer.text("SELECT count() FROM system.processes")) >= 1
    assert writer.text("SELECT count() FROM system.errors") == "0"


@pytest.fixture
def marked(api: Api) -> Iterator[Api]:
    """Requests of dbt, with a table of its own and a view of the errors, which shows nothing to dbt."""
    dbt = api.as_user("dbt")
    dbt.text("CREATE TABLE analytics.marked (n Int32, s String) ENGINE = MergeTree ORDER BY n")
    dbt.text("CREATE VIEW analytics.errors_view AS SELECT code FROM system.errors")
    yield dbt
    dbt.text("DROP VIEW analytics.errors_view")
    dbt.text("DROP TABLE analytics.marked")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE {t} UPDATE s = (SELECT max(last_error_message) FROM system.errors) WHERE 1",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n IN (SELECT code FROM system.errors)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n = ANY (SELECT code FROM analytics.errors_view)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n IN analytics.errors_view",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n NOT IN (errors_view)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE in(n, analytics.errors_view)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE globalNullIn(n, analytics.errors_view)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE exists(SELECT 1 FROM raw.users AS WHERE, system.errors)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n IN (WITH e AS (SELECT 1 FROM errors) SELECT * FROM e)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n IN (SELECT 1 FROM raw.users CROSS JOIN system.errors)",
        "ALTER TABLE {t} UPDATE s = 'x' WHERE n IN (SELECT 1 FROM merge('system', 'errors'))",
        "ALTER TABLE {t} DELETE WHERE n IN (SELECT code FROM `system`.`errors`)",
        "ALTER TABLE {t} MODIFY TTL now() DELETE WHERE n IN (SELECT code FROM system.errors)",
        "DELETE FROM {t} WHERE n IN (SELECT code FROM system.errors)",
        "DELETE FROM {t} WHERE n IN {{name:Identifier}}",
        "UPDATE {t} SET s = 'x' WHERE n IN (SELECT code FROM system.errors)",
        "CREATE TABLE analytics.ttl (d Date) ENGINE = MergeTree ORDER BY d"
        " TTL d DELETE WHERE 6 IN (SELECT code FROM raw.users)",
        "CREATE TABLE analytics.ttl (n Int32, b UInt8 DEFAULT in(n, analytics.errors_view)) ENGINE = Memory",
    ],
)
def test_a_change_of_rows_reads_nothing_that_its_account_cannot_see(marked: Api, sql: str) -> None:
    """The engine computes it in the background, without the account's row policies and grants."""
    answer = marked.post(sql.format(t="analytics.marked"), database="analytics", param_name="errors_view")
    assert "Not enough privileges" in answer.text
    assert answer.status_code == 403


def test_changes_of_rows_may_read_what_loads_have_written(marked: Api, api: Api) -> None:
    marked.text("INSERT INTO analytics.marked SELECT number, '' FROM numbers(5)")
    now = "SETTINGS mutations_sync = 2"
    for sql in (
        f"ALTER TABLE analytics.marked DELETE WHERE n IN (1, 2) OR (n, s) IN ((3, 'x')) {now}",
        f"ALTER TABLE analytics.marked UPDATE s = 'y' WHERE n IN [4] OR n IN (n, 7) {now}",
        "DELETE FROM analytics.marked WHERE n IN (SELECT movie_id FROM raw.movies)",
        "ALTER TABLE analytics.marked REPLACE PARTITION tuple() FROM analytics.marked",
    ):
        marked.text(sql)
    api.as_user("elt_writer").text(
        "ALTER TABLE raw.users DELETE WHERE (user_id) IN (SELECT user_id FROM raw.users"
        " WHERE user_id IN (SELECT movie_id FROM raw.movies WHERE title = 'x')"
        f" GROUP BY user_id, _version HAVING argMax(_is_deleted, _version) = 1) {now}"
    )


@pytest.mark.parametrize("user", ["reader", "dataflix_admin"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 SETTINGS additional_result_filter = 'throwIf(file(''/etc/hostname'') != '''')'",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/hostname'",
        "SELECT 1 FORMAT Protobuf SETTINGS format_schema = '/etc/hostname:X'",
        "SET dialect = 'kusto'",
        "SET allow_introspection_functions = 1",
        "SET default_normal_view_sql_security = 'DEFINER'",
        "SET compatibility = '20.1'",
        "SET os_threads_nice_value_query = -20",
        "SELECT 1 SETTINGS url_base = 'http://127.0.0.1:1/'",
        "SELECT aiGenerate('a', 'b') SETTINGS allow_experimental_ai_functions = 1",
    ],
)
def test_settings_that_bypass_the_policy_cannot_change(api: Api, user: str, sql: str) -> None:
    assert api.as_user(user).code(sql) == CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    "data",
    [
        "(file('/etc/hostname'), 1)",
        "(`file`('/etc/hostname'), 1)",
        "(\"file\"('/etc/hostname'), 1)",
        "(/* ' */ file('/etc/hostname') /* ' */, 1)",
        "($$'$$ || file('/etc/hostname') || $$'$$, 1)",
        "('a' || -- '\n file('/etc/hostname'), 1)",
        "((SELECT * FROM format(Values, 'a String', $$(file('/etc/hostname'))$$)), 1)",
    ],
)
def test_values_data_cannot_read_files(api: Api, data: str) -> None:
    sql = f"INSERT INTO raw.load_audit (run_id, rows) VALUES {data}"
    assert api.as_user("elt_writer").post(sql).status_code >= 400
    assert api.as_user("elt_writer").post(sql, input_format_values_interpret_expressions=1).status_code >= 400


def test_a_parameter_cannot_hold_a_forbidden_name(api: Api) -> None:
    sql = "SELECT arrayMap({f:Identifier}, ['/etc/hostname'])"
    reader = api.as_user("reader")
    assert reader.text(sql, param_f="upper") == "['/ETC/HOSTNAME']"
    for name in ("file", r"\x66ile", r"fil\e"):
        assert reader.code(sql, param_f=name) == ACCESS_DENIED
    data = "INSERT INTO raw.load_audit (run_id) VALUES (arrayMap({f:Identifier}, ['/etc/hostname'])[1])"
    assert api.as_user("elt_writer").post(data, param_f="file").status_code >= 400


def test_values_data_may_contain_other_expressions(api: Api) -> None:
    writer = api.as_user("elt_writer")
    writer.text(
        "INSERT INTO raw.load_audit (run_id, rows, finished_at) VALUES ('it''s file(', 1 + 1, now64())"
    )
    asked = "SELECT run_id, rows FROM raw.load_audit WHERE run_id LIKE 'it%' FORMAT TSVRaw"
    assert writer.text(asked) == "it's file(\t2"
    writer.text("TRUNCATE TABLE raw.load_audit")


def test_a_readers_session_stays_readonly(api: Api) -> None:
    reader = api.as_user("reader")
    for sql in ("SET readonly = 0", "SELECT 1 SETTINGS readonly = 0"):
        assert reader.code(sql, session_id="r") == READONLY
    assert reader.code("SELECT 1", session_id="r", readonly=0) == READONLY
    assert reader.code("INSERT INTO analytics.recommendations (user_id) VALUES (1)", session_id="r") in (
        ACCESS_DENIED,
        READONLY,
    )


def test_forbidden_words_in_strings_and_names_are_allowed(api: Api) -> None:
    reader = api.as_user("reader")
    asked = "SELECT 'file(', format('{}', 1), 'SET ROLE x', 1 AS infile, 2 AS `a file`, infile"
    assert reader.text(asked) == "file(\t1\tSET ROLE x\t1\t2\t1"
