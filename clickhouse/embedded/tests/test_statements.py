"""Our parsing of statements agrees with the engine's."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflix_clickhouse.access import statement_policy
from dataflix_clickhouse.access.accounts import ACCOUNTS
from dataflix_clickhouse.engine.chdb_engine import Connection, open_in_memory
from dataflix_clickhouse.errors import QueryError
from dataflix_clickhouse.sql import statements
from dataflix_clickhouse.sql.statements import StatementKind

READER = next(account for account in ACCOUNTS if account.name == "reader")
PIPE = "/dev/fd/9"
CLAUSE = f"INTO OUTFILE '{PIPE}' TRUNCATE COMPRESSION 'none'"

ITEMS = st.sampled_from(
    [
        "1",
        "1e-5",
        "0.5",
        "'a;b'",
        "'it''s FORMAT CSV'",
        r"'\';'",
        "'-- /*'",
        "$$;'$$",
        "$x$ FORMAT CSV; $x$",
        "\u2018;\u2019",
        "`a;b`",
        '"a\'b"',
        "\u201c;'\u201d",
        "[1, 2][1]",
        "(SELECT 1 FROM t)",
        "format",
        "settings",
        "x AS `FORMAT`",
        "{p:String}",
        "f(x -> x, 'FORMAT JSON')",
        "map('a', 1)",
    ]
)
GAP = st.sampled_from(
    [
        " ",
        "\n",
        "\t",
        "/* ; FORMAT CSV */",
        "-- ; ' FORMAT CSV\n",
        "// ;'\n",
        "# ;\n",
        "#! '\n",
        "/* /* ' */ ; */",
    ]
)
GAPS = st.lists(st.lists(GAP, min_size=1, max_size=3).map("".join), min_size=12, max_size=12)


@pytest.fixture(scope="module")
def engine() -> Iterator[Connection]:
    with open_in_memory() as handle:
        yield handle


@settings(max_examples=200)
@given(
    items=st.lists(ITEMS, min_size=1, max_size=4),
    gaps=GAPS,
    format_name=st.sampled_from(["", "JSON", "`CSV`"]),
    endings=st.tuples(st.booleans(), st.sampled_from(["", ";", " ; ;"])),
)
def test_a_select_gets_the_output_clause(
    engine: Connection, items: list[str], gaps: list[str], format_name: str, endings: tuple[bool, str]
) -> None:
    has_settings, ending = endings
    words = ["SELECT", *(f"{item}," for item in items[:-1]), items[-1]]
    if format_name:
        words += ["FORMAT", format_name]
    if has_settings:
        words += ["SETTINGS", "max_threads = 1"]
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False)) + ending
    statement = statements.parse(text)
    assert statement.kind is StatementKind.OUTPUT
    sent = engine.canonical(statement.with_output_file(PIPE, "TSV", "none", "tag"))
    expected = engine.canonical(f"SELECT {', '.join(items)}")
    if format_name:
        expected += f" {CLAUSE} FORMAT {format_name.strip('`')}" + " SETTINGS max_threads = 1" * has_settings
    else:
        expected += " SETTINGS max_threads = 1" * has_settings + f" {CLAUSE} FORMAT TSV"
    assert sent == expected
    assert statement_policy.check(sent, READER, PIPE, {}) is None


@pytest.mark.parametrize(
    ("text", "name", "data"),
    [
        ("INSERT INTO t VALUES (1)", "Values", "(1)"),
        ("insert into t(a,b)values(1)", "Values", "(1)"),
        ("INSERT INTO t FORMAT Values (1)", "Values", "(1)"),
        ("INSERT INTO t FORMAT CSV\n1\n2", "CSV", "1\n2"),
        ("INSERT INTO t FORMAT CSV\r\n1", "CSV", "1"),
        ("INSERT INTO t FORMAT `CSV`  1", "CSV", "1"),
        ("INSERT INTO t FORMAT CSV\n\n1", "CSV", "\n1"),
        ("INSERT INTO values VALUES (1)", "Values", "(1)"),
        ("INSERT INTO format FORMAT CSV 1", "CSV", "1"),
        ("INSERT INTO db.values (format) FORMAT CSV 1", "CSV", "1"),
        ("INSERT INTO {t:Identifier} (* EXCEPT (a)) FORMAT CSV 1", "CSV", "1"),
        (
            "INSERT INTO TABLE t /* FORMAT TSV */ SETTINGS a = 'VALUES' FORMAT CSV 'not closed",
            "CSV",
            "'not closed",
        ),
        ("INSERT INTO FUNCTION null('a Int8') VALUES (1)", "Values", "(1)"),
    ],
)
def test_an_insert_gets_the_input_clause(engine: Connection, text: str, name: str, data: str) -> None:
    statement = statements.parse_insert(text)
    assert statement is not None
    assert (statement.kind, statement.format, statement.inline_data) == (
        StatementKind.INSERT_DATA,
        name,
        data,
    )
    sent = engine.canonical(statement.with_input_file(PIPE, "zstd", "tag"))
    assert f" FROM INFILE '{PIPE}' COMPRESSION 'zstd' " in sent
    assert sent.endswith(f" FORMAT {name}")
    assert statement_policy.check(sent, ACCOUNTS[0], PIPE, {}) is None


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (a) SELECT 1 FORMAT CSV",
        "INSERT INTO t WITH 1 AS x SELECT x",
        "INSERT INTO t (SELECT 1)",
        "INSERT",
        "",
    ],
)
def test_other_statements_are_not_inserts_with_data(text: str) -> None:
    assert statements.parse_insert(text) is None


@pytest.mark.parametrize(
    "text", ["", " ;; ", "-- x", "SELECT 1; SELECT 2", "SELECT 'x", "SELECT /* /* */ 1", "SELECT \u201cx"]
)
def test_no_statement_or_too_many_are_syntax_errors(text: str) -> None:
    with pytest.raises(QueryError, match="SYNTAX_ERROR"):
        statements.parse(text)


@pytest.mark.parametrize("own", [None, "/dev/fd/8"])
def test_only_the_pipe_of_the_server_is_allowed_as_a_file(engine: Connection, own: str | None) -> None:
    for sql in (f"SELECT 1 {CLAUSE} FORMAT CSV", f"INSERT INTO t FROM INFILE '{PIPE}' FORMAT CSV"):
        for account in ACCOUNTS:
            with pytest.raises(QueryError, match="names a file"):
                statement_policy.check(engine.canonical(sql), account, own, {})


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("KILL QUERY WHERE query_id = 'a'", statement_policy.KillRequest("a", "ASYNC")),
        ("kill query where query_id='it\\'s \\\\' sync", statement_policy.KillRequest("it's \\", "SYNC")),
        ("KILL QUERY WHERE (query_id = 'a') TEST", statement_policy.KillRequest("a", "TEST")),
    ],
)
def test_kill_query_by_id_is_parsed(
    engine: Connection, sql: str, expected: statement_policy.KillRequest
) -> None:
    assert statement_policy.check(engine.canonical(sql), READER, None, {}) == expected


@pytest.mark.parametrize("sql", ["KILL QUERY WHERE query_id = 'a' OR 1", "KILL QUERY WHERE user = 'default'"])
def test_other_kill_queries_need_the_administrator(engine: Connection, sql: str) -> None:
    with pytest.raises(QueryError, match="Not enough privileges"):
        statement_policy.check(engine.canonical(sql), READER, None, {})
