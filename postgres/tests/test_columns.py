"""Every column of every table is classified in `columns.tsv`, and the views show no more than that.

public: the ELT may see it as it is. pseudonymised: only a keyed hash of it leaves. masked: only its first
letter leaves. personal: about a person, and stays. internal: about nobody, and stays. A column that the file
does not name fails here until somebody has decided what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from .test_tables import execute, fetch

INVENTORY = Path(__file__).parents[1] / "columns.tsv"
CLASSES = {"public", "pseudonymised", "masked", "personal", "internal"}

COLUMNS = """
SELECT n.nspname || '.' || c.relname || '.' || a.attname
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind IN ('r', 'p', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_temp'
"""
# What a view was written with, in whatever part of its query.
SHOWN = """
SELECT DISTINCT n.nspname || '.' || c.relname || '.' || a.attname
FROM pg_rewrite AS r
INNER JOIN pg_class AS v ON r.ev_class = v.oid
INNER JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
INNER JOIN pg_class AS c ON d.refobjid = c.oid AND c.relkind <> 'v'
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE v.relnamespace = 'masked'::regnamespace
"""


def inventory() -> dict[str, str]:
    """Return the class of each column."""
    lines = INVENTORY.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def findings(admin: Connection) -> list[str]:
    """Return what is wrong between the database and the inventory."""
    known = inventory()
    columns = {str(name) for (name,) in fetch(admin, COLUMNS)}
    shown = {str(name) for (name,) in fetch(admin, SHOWN)}
    leaves = {name for name, kind in known.items() if kind in ("public", "masked")}
    return [
        *(f"{name} is not classified: add it to columns.tsv" for name in sorted(columns - known.keys())),
        *(f"{name} does not exist: take it out of columns.tsv" for name in sorted(known.keys() - columns)),
        *(
            f"{name} is {known[name]} and shown by a view of masked"
            for name in sorted(shown & known.keys() - leaves)
        ),
        *(f"{name} is {known[name]} and no view shows it" for name in sorted(leaves - shown)),
    ]


@contextmanager
def changed(admin: Connection, change: str, back: str) -> Iterator[None]:
    execute(admin, change)
    try:
        yield
    finally:
        execute(admin, back)


def test_every_column_is_classified_and_shown_no_further(admin: Connection) -> None:
    assert set(inventory().values()) == CLASSES
    assert list(inventory()) == sorted(inventory())
    assert findings(admin) == []


@pytest.mark.parametrize("table", ["public.users", "public.ratings", "access.api_keys", "capture.ledger"])
def test_a_new_column_is_a_finding(admin: Connection, table: str) -> None:
    with changed(admin, f"ALTER TABLE {table} ADD phone text", f"ALTER TABLE {table} DROP phone"):
        assert findings(admin) == [f"{table}.phone is not classified: add it to columns.tsv"]


def test_a_new_table_is_a_finding(admin: Connection) -> None:
    with changed(admin, "CREATE TABLE public.notes (about text)", "DROP TABLE public.notes"):
        assert findings(admin) == ["public.notes.about is not classified: add it to columns.tsv"]


@pytest.mark.parametrize("column", ["username", "email"])
def test_a_view_that_shows_more_is_a_finding(admin: Connection, column: str) -> None:
    view = f"CREATE VIEW masked.more AS SELECT user_id, length({column}) AS n FROM public.users"
    with changed(admin, view, "DROP VIEW masked.more"):
        assert findings(admin) == [f"public.users.{column} is pseudonymised and shown by a view of masked"]


def test_no_statistics_show_values_of_people(admin: Connection, backend: Connection) -> None:
    """Postgres keeps statistics of deleted rows until the next ANALYZE; VACUUM does not remove them."""
    execute(
        admin,
        "INSERT INTO public.users (username, email, first_name, last_name, city)"
        " SELECT 'user' || i, i || '@example.org', 'Ann', 'Early', 'Oslo' FROM generate_series(1, 500) AS i",
    )
    execute(admin, "ANALYZE")
    execute(admin, "DELETE FROM public.users")
    execute(admin, "VACUUM public.users")
    # Their erasures would have the ids of users of other tests.
    execute(admin, "DELETE FROM public.erasures")

    columns = {
        (schema, table, column)
        for schema, table, column in (
            name.split(".") for name, kind in inventory().items() if kind not in ("public", "internal")
        )
    }
    statistics = "SELECT schemaname, tablename, attname FROM pg_stats"
    kept = set(fetch(admin, statistics))
    assert columns & kept == set()
    indexes = {name for (name,) in fetch(admin, "SELECT indexname FROM pg_indexes WHERE tablename = 'users'")}
    assert {"users_username_key", "users_username_look_key", "users_email_key"} <= indexes
    assert not [name for _, name, _ in kept if name in indexes]
    shown = fetch(backend, "SELECT pg_stats::text FROM pg_stats")
    assert not [text for (text,) in shown if "example.org" in text]


def test_what_does_not_leave_cannot_be_read_by_the_views_owner(admin: Connection) -> None:
    kept = [name for name, kind in inventory().items() if kind in ("pseudonymised", "personal")]
    for name in kept:
        table, _, column = name.rpartition(".")
        privilege = f"SELECT has_column_privilege('dataflix_masking', '{table}', '{column}', 'SELECT')"
        assert fetch(admin, privilege) == [(False,)], name
