# ruff: noqa: E501  SQL of the tests
"""What we put into another application's database, and that its own life goes on."""

import re
import subprocess
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.capture import removal_script
from dataflix_source.errors import RefusedError
from dataflix_source.settings import OwnSettings, SourceSettings
from dataflix_stack.services import postgres as cluster

from .conftest import READER, Application, described, run_copy, run_script, with_mode

TRIGGERS = with_mode("triggers")


def dump(source: SourceSettings) -> str:
    """Return the schema of a database, without the random words that newer versions put around it."""
    result = subprocess.run(
        [
            str(cluster.binaries() / "pg_dump"), "--schema-only", "--host", source.host, "--port", str(source.port),
            "--username", source.user, source.dbname,
        ],
        env={"PGPASSWORD": source.password}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return (
        re.sub(r"\\(un)?restrict \S+\n", "", result.stdout)
        .partition("\n--\n-- PostgreSQL database dump complete")[0]
        .rstrip()
    )


def psql(source: SourceSettings, script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(cluster.binaries() / "psql"), "--no-psqlrc", "--host", source.host, "--port", str(source.port),
            "--username", source.user, "--file", str(script), source.dbname,
        ],
        env={"PGPASSWORD": source.password}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def without_ours(text: str) -> str:
    """Return a dump without our schema and the triggers that call it."""
    statements = re.split(r"\n--\n-- Name: ", text)
    kept = [one for one in statements if not re.search(r"\bdataflix\b|zz_dataflix_", one)]
    return "\n--\n-- Name: ".join(kept).rstrip()


def test_the_schema_differs_by_ours_alone(library: Application, tmp_path: Path) -> None:
    before = dump(library.owner)
    script = tmp_path / "script.sql"
    script.write_text(library.script(TRIGGERS), encoding="utf-8")
    for _ in range(2):
        result = psql(library.owner, script)
        assert result.returncode == 0, result.stderr
    after = dump(library.owner)
    assert after != before
    assert without_ours(after) == before
    # Not one right on the application's tables, and none taken from anybody.
    assert "REVOKE" not in script.read_text(encoding="utf-8")
    tables = library.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    for (table,) in tables:
        assert library.fetch(f"SELECT has_any_column_privilege('{READER}', 'public.{table}', 'SELECT')") == [
            (False,)
        ]
    script.write_text(removal_script(TRIGGERS), encoding="utf-8")
    assert psql(library.owner, script).returncode == 0
    assert dump(library.owner) == before
    assert psql(library.owner, script).returncode == 0


def test_no_superuser_is_needed(library: Application) -> None:
    assert library.fetch("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]
    library.install(TRIGGERS)


def test_masked_values_do_not_leave(library: Application, own: Connection, own_settings: OwnSettings) -> None:
    """The reader sees what the functions show: first letters and years, and nothing that is dropped."""
    library.install(TRIGGERS)
    reader = psycopg2.connect(
        host=library.reader.host, port=library.reader.port, dbname=library.name,
        user=library.reader.user, password=library.reader.password,
    )  # fmt: skip
    with reader, reader.cursor() as cursor:
        cursor.execute("SELECT dataflix.read_people(NULL)::text")
        shown = str(cursor.fetchall())
    assert "Ann Early" not in shown
    assert "1980-05-05" not in shown
    assert "A***" in shown
    with reader, reader.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("SELECT full_name FROM reader")
    reader.close()


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE loan DROP COLUMN card",
        "ALTER TABLE loan RENAME COLUMN card TO member",
        "ALTER TABLE reader ALTER COLUMN born TYPE text",
        "ALTER TABLE reader DROP COLUMN full_name",
        "ALTER TABLE book DROP COLUMN shelf_id; DROP TABLE shelf",
        "ALTER TABLE loan RENAME TO loans",
    ],
)
def test_a_migration_goes_on(
    library: Application, own: Connection, own_settings: OwnSettings, migration: str
) -> None:
    """The application may change what it likes; what is missing then stops the copy and not the application."""
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    library.execute(migration)
    library.execute("UPDATE reader SET town = 'Elsewhere'")
    table = "loans" if "TO loans" in migration else "loan"
    library.execute(f"INSERT INTO {table} (barcode, lent) VALUES (1, now())")
    library.execute(f"UPDATE {table} SET barcode = 2")
    library.execute(f"DELETE FROM {table}")
    with pytest.raises(RefusedError):
        run_copy(library.reader, own_settings, TRIGGERS)


def test_a_schema_that_is_not_ours_stays(library: Application) -> None:
    library.execute("CREATE SCHEMA dataflix; CREATE TABLE dataflix.theirs (about text)")
    with pytest.raises(psycopg2.errors.RaiseException, match="already, and it is not ours"):
        library.install(TRIGGERS)
    library.execute("ROLLBACK; TABLE dataflix.theirs")
    library.install(described(**{"copy: compare": "copy: triggers, schema: dataflix_notes"}))
    library.execute("TABLE dataflix.theirs; TABLE dataflix_notes.changes")


def test_a_missing_reader_is_named(library: Application) -> None:
    script = library.script(TRIGGERS).replace(READER, "nobody_yet")
    with pytest.raises(psycopg2.errors.RaiseException) as caught:
        run_script(library, script)
    assert "CREATE ROLE" in str(caught.value.diag.message_hint)
    library.execute("ROLLBACK")
    assert library.fetch("SELECT to_regnamespace('dataflix') IS NULL") == [(True,)]


def test_names_and_kinds_cannot_become_statements(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.execute(
        """ALTER TABLE loan ADD "od'd; ""DROP -- $x$" text DEFAULT 'it''s \\ $dataflix$; DROP TABLE book; --'"""
    )
    description = described(
        **{
            "copy: compare": "copy: triggers",
            "kind: borrowed\n    weight: 1\n": (
                "kinds:\n      column: '\"od''d; \"\"DROP -- $x$\"'\n      weights:\n"
                "        'it''s \\ $dataflix$; DROP TABLE book; --': 1\n"
            ),
        }
    )
    library.install(description)
    result = run_copy(library.reader, own_settings, description)
    assert result.changes[2].inserted == 3
    library.execute("TABLE book")


def test_an_application_of_other_search_paths(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    """The triggers run with the application's settings, whatever they are."""
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    library.execute(
        "SET search_path = ''; SET DateStyle = 'German'; SET bytea_output = 'escape'; SET TimeZone ="
        " 'Asia/Tokyo'"
    )
    library.execute("INSERT INTO public.loan (card, barcode, lent) VALUES ('C 3', 1, '2026-05-05')")
    assert run_copy(library.reader, own_settings, TRIGGERS).changes[2].inserted == 1


def test_a_role_without_rights_on_our_schema_writes_on(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.install(TRIGGERS)
    library.execute("GRANT INSERT, SELECT ON loan TO PUBLIC")
    role = psycopg2.connect(
        host=library.reader.host, port=library.reader.port, dbname=library.name,
        user=library.reader.user, password=library.reader.password,
    )  # fmt: skip
    library.execute(f"REVOKE ALL ON SCHEMA dataflix FROM {READER}")
    with role, role.cursor() as cursor:
        cursor.execute("INSERT INTO loan (card, barcode, lent) VALUES ('C 3', 1, '2026-05-05')")
    with role, role.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("TABLE dataflix.changes")
    role.close()
    assert library.fetch("SELECT entity, row_key FROM dataflix.changes") == [("events.0", "C 3")]
