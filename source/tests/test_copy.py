# ruff: noqa: E501  SQL of the tests
"""What arrives, what changes later, and what stops a copy."""

import threading
import time
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.copying.run import copy
from dataflix_source.errors import BusyError, DatabaseError, RefusedError, SourceUnavailableError
from dataflix_source.settings import OwnSettings
from dataflix_testkit import PostgresServer

from .conftest import (
    LIBRARY,
    Application,
    application,
    described,
    execute,
    fetch,
    run_copy,
    what_came,
    with_mode,
)


def test_the_first_copy(readable: Application, own: Connection, own_settings: OwnSettings) -> None:
    result = run_copy(readable.reader, own_settings, described())
    assert [(c.entity, c.inserted, c.left_out) for c in result.changes] == [
        ("people", 3, 0), ("items", 4, 0), ("events.0", 3, 0), ("events.1", 2, 0),
    ]  # fmt: skip
    came = what_came(own)
    people = [row[1:] for row in came if row[0] == "person"]
    # Upper and lower case are two ids; a name is cut, an address is as it is until the warehouse's view masks it.
    assert people == [
        ("A-1", "A***", "Oslo", None, "1980", "ann@example.org"),
        ("C 3", "C***", None, None, None, "cy@example.org"),
        ("a-1", "B***", "Rome", None, "1990", "bo@example.org"),
    ]
    items = [row[1:6] for row in came if row[0] == "item"]
    assert items == [
        ("9780000000001", "Dune", "{novel,space}", "1965", '{"floor": "ground floor"}'),
        # Movies have a year from 1870 on.
        ("9780000000002", "Emma", "{novel}", None, '{"floor": "first floor"}'),
        ("9780000000003", "Cosmos", "{space,stars}", "1980", '{"floor": "ground floor"}'),
        # A book without a title has its id, and nothing else is made up.
        ("9780000000004", "9780000000004", "{}", None, "{}"),
    ]
    events = [row[1:6] for row in came if row[0] == "event"]
    # Two copies of one book are one pair; noon in Berlin is eleven in winter.
    assert ("A-1", "9780000000001", "borrowed", "2", "2026-02-01 11:00:00+00") in events
    ratings = [row[1:4] for row in came if row[0] == "rating"]
    assert ratings == [("A-1", "9780000000001", "5"), ("a-1", "9780000000003", "1.5")]
    watched = [row[1:4] for row in came if row[0] == "watched"]
    # A review is also a sign that the book was read.
    assert ("A-1", "9780000000001", "2026-02-03 00:00:00+00") in watched


def test_copying_again_changes_nothing(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    before = fetch(own, "SELECT max(last_xid::text::bigint) FROM (TABLE capture.deletions) AS d")
    stamps = (
        fetch(own, "SELECT sum(xmin::text::bigint) FROM interactions"),
        fetch(own, "SELECT sum(last_xid::text::bigint) FROM users"),
    )
    result = run_copy(readable.reader, own_settings, described())
    assert all((c.inserted, c.updated, c.deleted) == (0, 0, 0) for c in result.changes)
    assert before == fetch(own, "SELECT max(last_xid::text::bigint) FROM (TABLE capture.deletions) AS d")
    assert stamps == (
        fetch(own, "SELECT sum(xmin::text::bigint) FROM interactions"),
        fetch(own, "SELECT sum(last_xid::text::bigint) FROM users"),
    )


def test_a_person_who_is_gone_is_erased(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    ((user,),) = fetch(own, "SELECT user_id FROM source.people WHERE source_key = 'A-1'")
    readable.execute("UPDATE reader SET gone = true WHERE card = 'A-1'")
    run_copy(readable.reader, own_settings, described())
    assert fetch(own, f"SELECT FROM users WHERE user_id = {user}") == []
    assert fetch(own, f"SELECT FROM pii.user_pseudonyms WHERE user_id = {user}") == []
    assert fetch(own, "SELECT user_id FROM erasures") == [(user,)]
    # Whoever has the id later is somebody else, and is copied.
    readable.execute("UPDATE reader SET gone = NULL, full_name = 'Another' WHERE card = 'A-1'")
    run_copy(readable.reader, own_settings, described())
    ((again,),) = fetch(own, "SELECT user_id FROM source.people WHERE source_key = 'A-1'")
    assert again != user


def test_a_person_who_was_erased_here_stays_away(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    execute(own, "SELECT erase_user(user_id) FROM source.people WHERE source_key = 'a-1'")
    for _ in range(2):
        result = run_copy(readable.reader, own_settings, described())
        assert result.changes[0].left_out == 1
    assert "a-1" not in [row[1] for row in what_came(own)]
    # What stays does not tell who it was without a key that no role of ours can read.
    assert len(fetch(own, "SELECT source_hash FROM pii.suppressed_people")) == 1
    for role in ("dataflix_owner", "dataflix_backend", "elt_reader", "dataflix_masking"):
        privilege = f"SELECT has_table_privilege('{role}', 'pii.suppression_key', 'SELECT')"
        assert fetch(own, privilege) == [(False,)], role


def test_what_people_gave_here_stays(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    pair = (
        "SELECT p.user_id, i.movie_id FROM source.people p, source.items i"
        " WHERE p.source_key = '{}' AND i.source_key = '{}'"
    )
    mine = pair.format("C 3", "9780000000002")
    execute(own, f"INSERT INTO ratings (user_id, movie_id, rating) SELECT *, 4.5 FROM ({mine}) AS pair")
    newer = pair.format("A-1", "9780000000001")
    execute(
        own,
        f"UPDATE ratings SET rating = 0.5, rated_at = now() WHERE (user_id, movie_id) IN ({newer})",
    )
    readable.execute("DELETE FROM review")
    run_copy(readable.reader, own_settings, described())
    ratings = [row[1:4] for row in what_came(own) if row[0] == "rating"]
    assert ratings == [("A-1", "9780000000001", "0.5"), ("C 3", "9780000000002", "4.5")]


def test_many_deletions_are_asked_for(
    server: PostgresServer, own: Connection, own_settings: OwnSettings
) -> None:
    many = LIBRARY + (
        "INSERT INTO reader (card, joined) SELECT 'R' || i, now() FROM generate_series(1, 100) AS i;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader;"
    )
    with application(server, sql=many) as source:
        run_copy(source.reader, own_settings, described())
        before = what_came(own)
        source.execute("DELETE FROM reader WHERE card LIKE 'R%'")
        with pytest.raises(
            RefusedError, match=r"100 of 103 people .* `\./run\.sh source copy --accept-deletions`"
        ):
            run_copy(source.reader, own_settings, described())
        assert what_came(own) == before
        assert fetch(own, "SELECT FROM erasures") == []
        run_copy(source.reader, own_settings, described(), accept_deletions=True)
        assert len(fetch(own, "SELECT FROM erasures")) == 100


def test_another_database_is_refused_by_name(
    readable: Application, server: PostgresServer, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    before = what_came(own)
    more = (
        LIBRARY
        + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader; DELETE FROM loan WHERE card = 'A-1'"
    )
    with application(server, sql=more) as other:
        with pytest.raises(
            RefusedError,
            match=f"comes from database {readable.name} .* this is database {other.name} .*"
            "`./run.sh pipeline --accept-source`",
        ):
            run_copy(other.reader, own_settings, described())
        assert what_came(own) == before
        run_copy(other.reader, own_settings, described(), accept_source=True)
        assert fetch(own, "SELECT DISTINCT database_name FROM source.copies") == [(other.name,)]
        assert what_came(own) != before


def test_people_who_are_not_the_sources_are_refused(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    execute(own, "INSERT INTO users (username, email) VALUES ('sample', 's@example.org')")
    with pytest.raises(RefusedError, match="already has 1 user"):
        run_copy(readable.reader, own_settings, described())
    assert fetch(own, "SELECT username FROM users") == [("sample",)]


def test_two_copies_do_not_meet(
    readable: Application, own: Connection, own_settings: OwnSettings, server: PostgresServer
) -> None:
    with closing(psycopg2.connect(server.dsn("postgres"))) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('dataflix_source.copy', 0))")
        with pytest.raises(BusyError):
            run_copy(readable.reader, own_settings, described())
    run_copy(readable.reader, own_settings, described())


def test_a_source_that_goes_away_leaves_nothing(
    server: PostgresServer, own: Connection, own_settings: OwnSettings
) -> None:
    """The server ends our session while rows are on their way."""
    slow = LIBRARY + (
        "ALTER TABLE loan RENAME TO loans; CREATE FUNCTION slow(value text) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(30); RETURN value; END $$;"
        "CREATE VIEW loan AS SELECT slow(card) AS card, barcode, lent, changed FROM loans;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader;"
    )
    with application(server, sql=slow) as source:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                copy(source.reader, own_settings, described())
            except SourceUnavailableError as error:
                failures.append(error)

        running = threading.Thread(target=run)
        running.start()
        ended: list[tuple[object, ...]] = []
        deadline = time.monotonic() + 60
        while not ended and time.monotonic() < deadline:
            ended = fetch(
                own,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dataflix_reader'"
                " AND wait_event = 'PgSleep'",
            )
        running.join()
        assert len(failures) == 1
        assert source.name in str(failures[0])
    assert fetch(own, "SELECT FROM users") == []
    assert fetch(own, "SELECT FROM source.copies") == []


def test_a_source_that_is_not_there(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    away = readable.reader.model_copy(update={"port": 1})
    with pytest.raises(SourceUnavailableError, match=f"{readable.name} on 127.0.0.1:1"):
        run_copy(away, own_settings, described())


def test_a_wrong_password_is_not_shown(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    wrong = readable.reader.model_copy(update={"password": "very-secret-guess"})
    with pytest.raises(SourceUnavailableError) as caught:
        run_copy(wrong, own_settings, described())
    assert "very-secret-guess" not in str(caught.value)
    assert "very-secret-guess" not in repr(wrong)
    assert "stands in single quotes" in str(caught.value)


def test_money_is_a_number(readable: Application, own: Connection, own_settings: OwnSettings) -> None:
    readable.execute(
        "ALTER TABLE book ADD price money, ADD fees money[];"
        "UPDATE book SET price = 1234.5::numeric::money, fees = ARRAY[2::money] WHERE title = 'Dune'"
    )
    description = described(**{"floor: ": "price: price, fees: fees, floor: "})
    run_copy(readable.reader, own_settings, description)
    price, fee = "(attributes -> 'price')::numeric", "(attributes -> 'fees' -> 0)::numeric"
    query = f"SELECT {price}, {fee} FROM source.items WHERE source_key = '9780000000001'"
    assert fetch(own, query) == [(1234.5, 2)]


def test_a_missing_right_is_named(library: Application, own: Connection, own_settings: OwnSettings) -> None:
    library.execute(
        "GRANT SELECT (card, joined, gone, full_name, mail, town, born, changed) ON reader TO dataflix_reader"
    )
    with pytest.raises(
        RefusedError,
        match=r'GRANT SELECT \("changed", "isbn", .*\) ON "public"\."book" TO "dataflix_reader";',
    ):
        run_copy(library.reader, own_settings, described())
    assert fetch(own, "SELECT FROM users") == []


def test_two_people_with_one_id(server: PostgresServer, own: Connection, own_settings: OwnSettings) -> None:
    twice = LIBRARY + (
        "ALTER TABLE reader RENAME TO readers;"
        "CREATE VIEW reader AS SELECT card, joined, full_name, mail, town, born, gone, changed FROM readers"
        " UNION ALL SELECT 'A-1', NULL, NULL, NULL, NULL, NULL, NULL, now();"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader;"
    )
    refused = pytest.raises(RefusedError, match=r"1 id\(s\) of people stand in several rows")
    with application(server, sql=twice) as source, refused:
        run_copy(source.reader, own_settings, described())
    assert fetch(own, "SELECT FROM users") == []


def test_addresses_are_taken_over_as_far_as_our_table_can_hold_them(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    readable.execute(
        "UPDATE reader SET mail = CASE card WHEN 'A-1' THEN 'Family@example.org' WHEN 'a-1' THEN"
        " 'family@EXAMPLE.org'"
        " ELSE 'no address' END"
    )
    run_copy(readable.reader, own_settings, described())
    emails = {row[1]: str(row[6]) for row in what_came(own) if row[0] == "person"}
    assert sum(email.lower() == "family@example.org" for email in emails.values()) == 1
    assert emails["C 3"].endswith("@source.invalid")
    # Two people swap their addresses.
    readable.execute("UPDATE reader SET mail = 'x@example.org' WHERE card = 'A-1'")
    readable.execute("UPDATE reader SET mail = 'y@example.org' WHERE card = 'a-1'")
    run_copy(readable.reader, own_settings, described())
    readable.execute(
        "UPDATE reader SET mail = CASE card WHEN 'A-1' THEN 'y@example.org' ELSE 'x@example.org' END WHERE"
        " card <> 'C 3'"
    )
    run_copy(readable.reader, own_settings, described())
    emails = {row[1]: str(row[6]) for row in what_came(own) if row[0] == "person"}
    assert (emails["A-1"], emails["a-1"]) == ("y@example.org", "x@example.org")


def test_a_description_of_our_own_tables_is_not_copied(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    ours = described(**{"name: library": "name: library, kind: ours"})
    with pytest.raises(RefusedError, match="our own tables"):
        run_copy(readable.reader, own_settings, ours)


def test_a_kind_that_turns_against_the_item(
    readable: Application, own: Connection, own_settings: OwnSettings
) -> None:
    run_copy(readable.reader, own_settings, described())
    against = described(**{"weight: 1": "weight: -1"})
    run_copy(readable.reader, own_settings, against)
    # Only the reviews speak for a book now.
    assert [row[1] for row in what_came(own) if row[0] == "watched"] == ["A-1", "a-1"]
    run_copy(readable.reader, own_settings, described())
    assert len([row for row in what_came(own) if row[0] == "watched"]) == 4


def test_our_own_postgres_without_tables(
    readable: Application, server: PostgresServer, own_settings: OwnSettings
) -> None:
    empty = own_settings.model_copy(update={"dbname": readable.name})
    with pytest.raises(DatabaseError, match=r"postgres/init"):
        run_copy(readable.reader, empty, with_mode("compare"))
