"""An installation with the older names of the change capture comes over without a full load."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_elt.errors import SchemaDriftError
from dataflix_elt.tables import TABLES, table_named
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer, postgres
from dataflix_testkit.process import ROOT

from ..support.engines import Engines

INIT = ROOT / "postgres" / "init"
OLDER_NAMES = {
    "last_xid": "changed_in",
    "record_changes": "write_down",
    "record_old_key": "write_down_old_key",
    "set_last_xid": "stamp",
}
ROWS = """
insert into users (user_id, username, email)
select i, 'u' || i, 'u' || i || '@example.org' from generate_series(1, 9) i;
insert into movies (movie_id, title) select i, 'Movie ' || i from generate_series(1, 9) i;
insert into ratings (user_id, movie_id, rating) select i, i, 4.0 from generate_series(1, 9) i
"""
OLD_OBJECTS = """
select attrelid::regclass::text || '.' || attname
from pg_attribute inner join pg_class on attrelid = pg_class.oid
where attname = 'changed_in' and relkind in ('r', 'v')
union all select indexrelid::regclass::text from pg_index where indexrelid::regclass::text like '%changed_in%'
union all select proname from pg_proc where pronamespace = 'capture'::regnamespace
    and proname in ('write_down', 'write_down_old_key', 'stamp')
"""


def apply(server: PostgresServer, file: Path) -> None:
    cluster.run_sql(
        host=server.host,
        port=server.port,
        dbname=server.dbname,
        password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        arguments=["-f", str(file)],
        environ=server.environ,
    )


@pytest.fixture
def older(engines: Engines, tmp_path: Path) -> Iterator[Engines]:
    """A database that the init SQL made when it still had the older names, with rows and no load yet."""
    pattern = re.compile("|".join(rf"(?<![a-z]){name}(?![a-z])" for name in OLDER_NAMES))
    tmp_path.chmod(0o755)
    with postgres(initialise=False) as server:
        cluster.run_sql(
            host=server.host,
            port=server.port,
            dbname="postgres",
            password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
            arguments=["-c", f"create database {server.dbname}"],
            environ=server.environ,
        )
        for file in sorted(INIT.glob("*.sql")):
            text = pattern.sub(lambda match: OLDER_NAMES[match[0]], file.read_text())
            (tmp_path / file.name).write_text(text)
            apply(server, tmp_path / file.name)
        engines = Engines(server, engines.warehouse_server)
        engines.sql(ROWS)
        yield engines
        # Other tests load the same tables from another cluster.
        engines.admin.command(
            "alter table raw.load_cursors delete where table_name in"
            f" ({', '.join(repr(table.name) for table in TABLES)}) settings mutations_sync = 2"
        )


def carry_on(engines: Engines) -> None:
    for file in sorted(INIT.glob("*.sql")):
        apply(engines.source_server, file)


def test_a_table_goes_on_with_its_changes_after_the_new_init(older: Engines) -> None:
    assert older.sql(OLD_OBJECTS), "the older names must be there to be renamed"
    tracked = "select table_name, tracking_id, ledger_rows, ledger_checksum from masked._tracked order by 1"
    stamps = "select movie_id, _changed_in from masked.movies order by 1"
    before = older.sql(tracked), older.sql(stamps)

    carry_on(older)
    carry_on(older)

    assert older.sql(OLD_OBJECTS) == []
    assert (older.sql(tracked), older.sql(stamps)) == before
    for table in TABLES:
        older.load(table, full=True)
    older.sql(
        "update movies set title = 'Another' where movie_id = 1; delete from ratings where movie_id = 2"
    )
    assert older.load(table_named("movies")).rows_written == 1
    assert older.load(table_named("ratings")).rows_deleted == 1


def test_a_cursor_of_the_older_installation_still_counts(older: Engines) -> None:
    """The state after a load with the older names: the same position, tracking id and ledger."""
    carry_on(older)
    tables = [table_named("movies"), table_named("ratings")]
    for table in tables:
        older.load(table, full=True)
    older.sql("update movies set title = 'Between' where movie_id = 3")
    # Back to the older names and over again, as when the older version ran in between.
    for relation in ("users", "movies", "watched_movies", "ratings", "feedback", "capture.deletions"):
        older.sql(f"alter table {relation} rename column last_xid to changed_in")
    older.sql("alter table masked._deletions rename column last_xid to changed_in")

    carry_on(older)

    results = [older.load(table) for table in tables]
    assert [(result.kind, result.why) for result in results] == [("incremental", "")] * 2
    assert [result.rows_written for result in results] == [1, 0]


def test_a_database_that_was_not_brought_up_to_date_is_refused_with_the_way_out(older: Engines) -> None:
    with pytest.raises(SchemaDriftError, match=r"Run postgres/init/02_change_capture\.sql again"):
        older.load(table_named("movies"))
