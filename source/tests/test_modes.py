# ruff: noqa: E501  a case is a line
"""Reading changes gives what reading everything gives, in each mode as far as it promises."""

import random
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.copying.run import CopyResult
from dataflix_source.errors import RefusedError
from dataflix_source.settings import OwnSettings
from dataflix_testkit.long_mode import short_or_long

from .conftest import LIBRARY_FILE, Application, described, execute, fetch, run_copy, what_came, with_mode

TRIGGERS = with_mode("triggers")


def wrote_nothing(result: CopyResult) -> bool:
    return all((change.inserted, change.updated, change.deleted) == (0, 0, 0) for change in result.changes)


def _card(draw: random.Random) -> str:
    return draw.choice(["A-1", "a-1", "C 3", *(f"R{i}" for i in range(8))])


def _isbn(draw: random.Random) -> int:
    return 9780000000000 + draw.randint(1, 9)


def _moment(draw: random.Random) -> str:
    return f"2026-{draw.randint(1, 9):02}-{draw.randint(1, 28):02} {draw.randint(0, 23):02}:00"


# What an application does; most of it fails or touches nothing now and then, as in life.
WRITES: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: (
        f"INSERT INTO reader (card, joined, full_name) VALUES ('{_card(draw)}', now(), 'New') ON CONFLICT DO"
        f" NOTHING"
    ),
    lambda draw: f"UPDATE reader SET town = 'Town {draw.randint(1, 3)}' WHERE card = '{_card(draw)}'",
    lambda draw: (
        f"UPDATE reader SET gone = {draw.choice(['true', 'false', 'NULL'])} WHERE card = '{_card(draw)}'"
    ),
    lambda draw: (
        f"INSERT INTO book (isbn, title) VALUES ({_isbn(draw)}, 'New') ON CONFLICT (isbn) DO UPDATE SET"
        f" subjects = 'a;b'"
    ),
    lambda draw: (
        f"UPDATE book SET title = 'Title {draw.randint(1, 9)}', shelf_id = 1 WHERE isbn = {_isbn(draw)}"
    ),
    lambda draw: f"INSERT INTO copy VALUES ({draw.randint(1, 12)}, {_isbn(draw)}) ON CONFLICT DO NOTHING",
    lambda draw: (
        f"INSERT INTO loan (card, barcode, lent) VALUES ('{_card(draw)}', {draw.randint(1, 14)},"
        f" '{_moment(draw)}')"
    ),
    lambda draw: (
        f"INSERT INTO loan (card, barcode, lent) SELECT card, barcode, '{_moment(draw)}' FROM reader, copy"
    ),
    lambda draw: (
        f"UPDATE loan SET lent = '{_moment(draw)}', barcode = {draw.randint(1, 9)} WHERE card ="
        f" '{_card(draw)}'"
    ),
    lambda draw: (
        f"INSERT INTO review (card, isbn, points, written) VALUES ('{_card(draw)}', {_isbn(draw)},"
        f" {draw.randint(1, 10)}, '{_moment(draw)}+00')"
    ),
    lambda draw: f"UPDATE review SET points = {draw.randint(1, 10)} WHERE isbn = {_isbn(draw)}",
)
DELETES: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: f"DELETE FROM reader WHERE card = '{_card(draw)}'",
    lambda draw: f"DELETE FROM book WHERE isbn = {_isbn(draw)}",
    lambda draw: f"DELETE FROM loan WHERE card = '{_card(draw)}'",
    lambda draw: f"DELETE FROM review WHERE card = '{_card(draw)}'",
    lambda draw: f"UPDATE loan SET card = '{_card(draw)}' WHERE card = '{_card(draw)}'",
    lambda draw: (
        f"UPDATE book SET isbn = {_isbn(draw)}.50 WHERE isbn = {_isbn(draw)} AND NOT EXISTS (SELECT FROM"
        f" copy WHERE copy.isbn = book.isbn)"
    ),
    lambda draw: f"UPDATE copy SET isbn = {_isbn(draw)} WHERE barcode = {draw.randint(1, 12)}",
    lambda draw: f"UPDATE shelf SET label = 'floor {draw.randint(1, 9)}'",
    lambda _: "TRUNCATE loan",
    lambda _: "TRUNCATE review",
)


def write(
    library: Application, draw: random.Random, choices: tuple[Callable[[random.Random], str], ...]
) -> None:
    for _ in range(draw.randint(0, 6)):
        try:
            library.execute(draw.choice(choices)(draw))
        except psycopg2.IntegrityError:
            continue


@pytest.mark.parametrize("seed", range(short_or_long(2, 300)))
def test_triggers_see_every_change(
    library: Application, own: Connection, own_settings: OwnSettings, seed: int
) -> None:
    library.install(TRIGGERS)
    draw = random.Random(seed)
    run_copy(library.reader, own_settings, TRIGGERS)
    for _ in range(short_or_long(8, 12)):
        write(library, draw, WRITES + DELETES)
        changes = run_copy(library.reader, own_settings, TRIGGERS)
        came = what_came(own)
        everything = run_copy(library.reader, own_settings, TRIGGERS, compare=True)
        assert wrote_nothing(everything), (changes, everything)
        assert what_came(own) == came
    # The notes that were read are gone.
    run_copy(library.reader, own_settings, TRIGGERS)
    assert fetch_source(library, "SELECT count(*) FROM dataflix.changes") == [(0,)]


def fetch_source(library: Application, query: str) -> list[tuple[object, ...]]:
    return library.fetch(query)


@pytest.mark.parametrize("seed", range(short_or_long(1, 100)))
def test_updated_at_sees_what_is_written(
    library: Application, own: Connection, own_settings: OwnSettings, seed: int
) -> None:
    description = with_mode("updated_at")
    library.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader")
    draw = random.Random(seed)
    run_copy(library.reader, own_settings, description)
    # A new copy of a book is another table on the path: the mode says that it waits for the comparison.
    seen = tuple(one for one in WRITES if "INTO copy" not in one(random.Random(1)))
    for _ in range(short_or_long(5, 8)):
        write(library, draw, seen)
        run_copy(library.reader, own_settings, description)
        assert wrote_nothing(run_copy(library.reader, own_settings, description, compare=True))


def test_updated_at_sees_deletions_with_the_comparison(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    description = with_mode("updated_at")
    library.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader")
    assert "deleted rows" in run_copy(library.reader, own_settings, description).guarantee
    library.execute("DELETE FROM review")
    assert wrote_nothing(run_copy(library.reader, own_settings, description))
    # A day later.
    execute(own, "UPDATE source.copies SET compared_at = compared_at - INTERVAL '25 hours'")
    result = run_copy(library.reader, own_settings, description)
    assert [change.deleted for change in result.changes] == [0, 0, 0, 2]
    assert all(change.compared for change in result.changes)


def test_updated_at_with_a_row_that_commits_late(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    description = with_mode("updated_at")
    library.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader")
    run_copy(library.reader, own_settings, description)
    library.execute(
        "INSERT INTO loan (card, barcode, lent, changed) VALUES ('C 3', 1, '2026-05-05', now() - INTERVAL '9"
        " minutes')"
    )
    assert run_copy(library.reader, own_settings, description).changes[2].inserted == 1


def test_triggers_with_a_row_that_commits_late(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    with closing(
        psycopg2.connect(
            host=library.owner.host, port=library.owner.port, dbname=library.name,
            user=library.owner.user, password=library.owner.password,
        )
    ) as late, late.cursor() as cursor:  # fmt: skip
        cursor.execute("INSERT INTO loan (card, barcode, lent) VALUES ('C 3', 1, '2026-05-05')")
        for _ in range(2):
            library.execute("INSERT INTO loan (card, barcode, lent) VALUES ('A-1', 3, '2026-05-06')")
            run_copy(library.reader, own_settings, TRIGGERS)
        assert "C 3" not in [row[1] for row in what_came(own) if row[2] == "9780000000001"]
        late.commit()
    assert run_copy(library.reader, own_settings, TRIGGERS).changes[2].inserted == 1
    assert wrote_nothing(run_copy(library.reader, own_settings, TRIGGERS, compare=True))


@pytest.mark.parametrize(
    ("gap", "message"),
    [
        ("ALTER TABLE loan DISABLE TRIGGER ALL", "Triggers of public.loan are missing or off"),
        ("ALTER TABLE loan DISABLE TRIGGER zz_dataflix_2_delete", "missing or off"),
        ("ALTER TABLE copy ENABLE TRIGGER USER", "missing or off"),
        ("DROP TABLE loan; CREATE TABLE loan (card text, barcode bigint, lent timestamp, changed timestamptz)", "missing"),
        ("DROP SCHEMA dataflix CASCADE", "has no schema dataflix of ours"),
        ("ALTER TABLE review ALTER written TYPE timestamp", "of another description, or the described columns have changed"),
    ],
)  # fmt: skip
def test_a_gap_is_refused(
    library: Application, own: Connection, own_settings: OwnSettings, gap: str, message: str
) -> None:
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    before = what_came(own)
    library.execute(gap)
    for options in ({}, {"compare": True}):
        with pytest.raises(RefusedError, match=message):
            run_copy(library.reader, own_settings, TRIGGERS, **options)
    assert what_came(own) == before
    # The way out that the message names. What happened in between is compared.
    library.execute("INSERT INTO reader (card) VALUES ('during the gap')")
    library.install(TRIGGERS)
    result = run_copy(library.reader, own_settings, TRIGGERS)
    assert all(change.compared for change in result.changes)
    assert "during the gap" in [row[1] for row in what_came(own)]


def test_a_restored_source_is_compared(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    for change in (
        "read_from = (read_from::text::bigint + 1000000)::text::xid8",
        "timeline = timeline + 1",
        "read_at = read_at + INTERVAL '1 hour'",
    ):
        execute(own, f"UPDATE source.copies SET {change}")
        assert all(one.compared for one in run_copy(library.reader, own_settings, TRIGGERS).changes), change
        assert not any(one.compared for one in run_copy(library.reader, own_settings, TRIGGERS).changes)


def test_our_own_restore_is_compared(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    """Our backup knows a moment whose notes the source has forgotten since."""
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    ((backup,),) = fetch(own, "SELECT min(read_from::text::bigint) FROM source.copies")
    library.execute("DELETE FROM review WHERE card = 'A-1'")
    run_copy(library.reader, own_settings, TRIGGERS)
    execute(own, f"UPDATE source.copies SET read_from = '{backup}'")
    execute(
        own,
        "INSERT INTO interactions SELECT user_id, movie_id, 'reviewed', 1, now(), now(), 5"
        " FROM source.people, source.items WHERE people.source_key = 'A-1' AND items.source_key = '9780000000001'",
    )
    result = run_copy(library.reader, own_settings, TRIGGERS)
    assert all(change.compared for change in result.changes)
    assert result.changes[3].deleted == 1


def test_notes_that_could_not_be_removed(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.install(TRIGGERS)
    library.execute("DROP FUNCTION dataflix.forget")
    result = run_copy(library.reader, own_settings, TRIGGERS)
    assert result.changes[0].inserted == 3
    assert "forget" in str(result.kept_notes)
    assert len(fetch(own, "SELECT FROM users")) == 3


def test_partitions(library: Application, own: Connection, own_settings: OwnSettings) -> None:
    library.execute(
        "DROP TABLE loan; CREATE TABLE loan (card text, barcode bigint, lent timestamp NOT NULL, changed"
        " timestamptz)"
        " PARTITION BY RANGE (lent); CREATE TABLE loan_early PARTITION OF loan FOR VALUES FROM (MINVALUE) TO"
        " ('2026-03-01');"
        "CREATE TABLE loan_late PARTITION OF loan FOR VALUES FROM ('2026-03-01') TO (MAXVALUE)"
    )
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    for statement in (
        "INSERT INTO loan VALUES ('A-1', 1, '2026-01-01'), ('A-1', 3, '2026-04-01')",
        "INSERT INTO loan_late VALUES ('C 3', 4, '2026-05-01')",
        "UPDATE loan SET lent = '2026-01-05' WHERE card = 'C 3'",
        "DELETE FROM loan_early WHERE barcode = 1",
        "TRUNCATE loan",
    ):
        library.execute(statement)
        assert not wrote_nothing(run_copy(library.reader, own_settings, TRIGGERS)), statement
        assert wrote_nothing(run_copy(library.reader, own_settings, TRIGGERS, compare=True)), statement
    # What the note in `check` says: this is seen by the comparison.
    library.execute("INSERT INTO loan VALUES ('A-1', 1, '2026-01-01')")
    run_copy(library.reader, own_settings, TRIGGERS)
    library.execute("TRUNCATE loan_early")
    assert wrote_nothing(run_copy(library.reader, own_settings, TRIGGERS))
    assert run_copy(library.reader, own_settings, TRIGGERS, compare=True).changes[2].deleted == 1


def test_a_person_by_a_path(library: Application, own: Connection, own_settings: OwnSettings) -> None:
    """The card of a loan is in another table: any change reads all loans."""
    library.execute(
        "CREATE TABLE visit (visit_id integer PRIMARY KEY, card text);"
        "INSERT INTO visit SELECT row_number() OVER (ORDER BY lent), card FROM loan;"
        "ALTER TABLE loan ADD visit_id integer; UPDATE loan SET visit_id = v.visit_id FROM visit v WHERE"
        " v.card = loan.card"
    )
    text = LIBRARY_FILE.replace("copy: compare", "copy: triggers").replace(
        "person: card\n    item: barcode", "person: visit_id -> visit.card\n    item: barcode"
    )
    description = described(text)
    library.install(description)
    run_copy(library.reader, own_settings, description)
    for statement in (
        "UPDATE visit SET card = 'C 3' WHERE visit_id = 1",
        "DELETE FROM visit WHERE visit_id = 2",
        "UPDATE loan SET lent = '2026-06-06'",
    ):
        library.execute(statement)
        run_copy(library.reader, own_settings, description)
        assert wrote_nothing(run_copy(library.reader, own_settings, description, compare=True)), statement


def test_thumbs(library: Application, own: Connection, own_settings: OwnSettings) -> None:
    text = LIBRARY_FILE.replace(
        "scale: {column: points, min: 1, max: 10}", "thumbs: {column: points, up: [10], down: [3]}"
    )
    library.execute(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dataflix_reader; INSERT INTO review VALUES ('C 3',"
        " 9780000000001, NULL, now())"
    )
    run_copy(library.reader, own_settings, described(text))
    assert [row[3:5] for row in what_came(own) if row[0] == "rating"] == [("4", "true"), ("1.5", "false")]


def test_status_names_source_and_guarantee(
    library: Application, own: Connection, own_settings: OwnSettings
) -> None:
    library.install(TRIGGERS)
    run_copy(library.reader, own_settings, TRIGGERS)
    rows = fetch(
        own,
        "SELECT entity, source_name, database_name, mode, guarantee, rows_count FROM source.copies ORDER BY"
        " 1",
    )
    assert [row[:4] for row in rows] == [
        (entity, "library", library.name, "triggers")
        for entity in ("events.0", "events.1", "items", "people")
    ]
    assert all("Every committed change" in str(row[4]) for row in rows)
    assert [row[5] for row in rows] == [3, 2, 4, 3]
