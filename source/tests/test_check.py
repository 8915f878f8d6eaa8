# ruff: noqa: E501  a case is a line
"""What a check says of a source that does not fit: each thing by name, with its place in the file."""

from collections.abc import Iterator

import psycopg2
import pytest

from dataflix_source.client import Session, source_snapshot
from dataflix_source.description.model import Description
from dataflix_source.errors import SourceError
from dataflix_source.looking.check import check_source
from dataflix_source.looking.findings import Findings
from dataflix_testkit import PostgresServer

from .conftest import LIBRARY, LIBRARY_FILE, Application, application, described, with_mode


@pytest.fixture(scope="module")
def one_library(server: PostgresServer) -> Iterator[Application]:
    with application(server, sql=LIBRARY) as made:
        yield made


@pytest.fixture
def library(one_library: Application) -> Iterator[Application]:
    """The one library; what a test does to it is undone."""
    one_library.execute("BEGIN")
    yield one_library
    one_library.execute("ROLLBACK; RESET ROLE")


def check(library: Application, description: Description, **settings: str) -> Findings:
    """Check in the test's own transaction, with the settings of `source_snapshot`."""

    def explain(error: psycopg2.Error) -> SourceError:
        return SourceError(str(error))

    for setting in (
        "search_path = pg_catalog",
        "TimeZone = 'UTC'",
        "DateStyle = 'ISO'",
        "row_security = off",
    ):
        library.execute(f"SET LOCAL {setting}")
    session = Session(library.connection, library.name, explain)
    return check_source(session, library.owner.model_copy(update=settings), description)[1]


def problems(library: Application, description: Description) -> list[tuple[str, str]]:
    return [(finding.place, finding.text) for finding in check(library, description).problems]


def notes(library: Application, description: Description) -> str:
    return "\n".join(f"{finding.place}: {finding.text}" for finding in check(library, description).all)


def test_a_source_that_fits(library: Application) -> None:
    for mode in ("compare", "triggers", "updated_at"):
        assert problems(library, with_mode(mode)) == []


# What is done to the source, what is said instead in the file, the place, and what the message has.
BAD = [
    # a view without a key, with two people of one id
    (
        "ALTER TABLE reader RENAME TO r; CREATE VIEW reader AS TABLE r UNION ALL TABLE r",
        {}, "people.id", "3 value(s) of card stand in several rows of public.reader: two people can't have one id",
    ),
    ("ALTER TABLE book DROP CONSTRAINT book_pkey CASCADE; ALTER TABLE book ALTER isbn DROP NOT NULL;"
     "INSERT INTO book (title) VALUES ('no number')", {}, "items.id", "1 row(s) of public.book have no isbn"),
    ("", {"table: book": "table: bok"}, "items.table", "There is no table or view public.bok; there are public."),
    ("", {"table: book": "table: library.book"}, "items.table", "there are public.book"),
    ("", {"name: title": "name: titel"}, "items.name", "public.book has no column titel; it has isbn, title"),
    ("", {"barcode -> copy.isbn": "barcode -> copies.isbn"}, "events.0.item", "There is no table or view public.copies"),
    ("", {"barcode -> copy.isbn": "barcode -> copy.isb"}, "events.0.item", "public.copy has no column isb"),
    ("", {"barcode -> copy.isbn": "barcode -> copy(isbn).barcode"}, "events.0.item", "public.copy.isbn is not unique"),
    ("", {"barcode -> copy.isbn": "barcode -> loan.barcode"}, "events.0.item", "has no key of one column"),
    ("", {"barcode -> copy.isbn": "card -> copy.isbn"}, "events.0.item", "compares text with int8"),
    ("", {"item: isbn\n": "item: card\n"}, "events.1.item", "card is text, but public.book.isbn is numeric"),
    ("ALTER TABLE reader ADD code jsonb", {"id: card\n": "id: code\n", "card: id, ": ""}, "people.id", "code is jsonb, which can't be an id"),
    ("", {", time_zone: Europe/Berlin": ""}, "events.0.time", "lent is timestamp and has no time zone"),
    ("", {"time: written": "time: points"}, "events.1.time", "points is int4 and no time"),
    ("", {"joined: joined": "joined: town"}, "people.joined", "town is text and no time"),
    ("", {"column: points": "column: written"}, "events.1.scale.column", "written is timestamptz and no number"),
    ("", {"max: 10": "max: 5"}, "events.1.scale", "1 value(s) lie outside of 1 to 5"),
    ("", {"scale: {column: points, min: 1, max: 10}": "thumbs: {column: points, up: [10]}"}, "events.1.thumbs",
     "1 value(s) are neither up nor down"),
    ("ALTER TABLE loan ADD what text DEFAULT 'take'; INSERT INTO loan VALUES ('A-1', 1, now(), now(), 'renew')",
     {"kind: borrowed\n    weight: 1\n": "kinds: {column: what, weights: {take: 1}}\n"}, "events.0.kinds",
     "Kinds of public.loan without a weight: 'renew' (1). Give each one"),
    ("ALTER TABLE book ADD search tsvector", {"floor: shelf_id -> shelf.label": "search: search"}, "items.attributes.search",
     "search is tsvector, which can't be an attribute"),
    ("", {"name: title": "name: isbn"}, "items.name", "isbn is numeric and no text"),
    ("", {"birth_year: born": "birth_year: town", "town: place, born: year": "town: public, born: drop"},
     "people.attributes.birth_year", "town is text, which gives no birth_year"),
    ("", {"card: id": "card: id, karte: drop"}, "people.personal.karte", "public.reader has no column karte"),
    # personal columns that are not named: by name, by type, by look
    ("ALTER TABLE reader ADD phone text", {}, "people.personal", "public.reader.phone seems to be personal (its name"),
    ("ALTER TABLE reader ADD \"streetLine1\" text", {}, "people.personal", 'public.reader."streetLine1" seems'),
    ("ALTER TABLE reader ADD last_seen inet", {}, "people.personal", "last_seen seems to be personal"),
    ("ALTER TABLE loan ADD ip text", {}, "events.0.personal", "public.loan.ip seems to be personal"),
    ("ALTER TABLE reader ADD note text; UPDATE reader SET note = '+47 22 12 34 56'", {}, "people.personal",
     "note seems to be personal (100 % of its values look like phone numbers)"),
    ("ALTER TABLE reader ADD note text; UPDATE reader SET note = '12 Long Lane, flat 3'", {}, "people.personal",
     "look like street addresses"),
    ("ALTER TABLE reader ADD note text; UPDATE reader SET note = 'Hauptstraße 12a'", {}, "people.personal",
     "look like street addresses"),
    ("ALTER TABLE reader ADD extra jsonb; UPDATE reader SET extra = jsonb_build_object('c', mail)", {}, "people.personal",
     "extra seems to be personal (100 % of its values look like e-mail addresses)"),
    ("ALTER TABLE loan ADD note text; UPDATE loan SET note = 'call 0171/2345678' WHERE card = 'C 3';"
     "UPDATE loan SET note = '0171/2345678' WHERE card = 'A-1'", {}, "events.0.personal", "look like phone numbers"),
    ("UPDATE book SET title = title || ' by author@example.org'", {}, "items.personal", "public.book.title seems to be"),
    ("ALTER TABLE shelf ADD email text", {"shelf.label": "shelf.email"}, "items.attributes.floor", "copied as it is"),
    # modes
    ("", {"copy: compare": "copy: updated_at", "    changed: changed\n    repeats": "    repeats"}, "events.0",
     "copy: updated_at needs the time of the last change of public.loan"),
    ("ALTER TABLE reader RENAME TO r; CREATE VIEW reader AS TABLE r", {"copy: compare": "copy: triggers"}, "people.table",
     "public.reader is a view, which has no triggers"),
    ("CREATE TABLE old_loan () INHERITS (loan)", {"copy: compare": "copy: triggers"}, "events.0.table", "inherits"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "said", "place", "message"), BAD, ids=[f"{i}-{bad[2]}" for i, bad in enumerate(BAD)]
)
def test_each_thing_is_named(
    library: Application, sql: str, said: dict[str, str], place: str, message: str
) -> None:
    if sql:
        library.execute(sql)
    for old in said:
        assert old in LIBRARY_FILE, old
    found = problems(library, described(LIBRARY_FILE, **said))
    assert [text for at, text in found if at == place and message in text], found


def test_what_a_message_says_to_write_can_be_written(library: Application) -> None:
    library.execute('ALTER TABLE reader ADD "streetLine1" text, ADD "Phone Number" text')
    texts = [text for _, text in problems(library, described())]
    written = [text.split("`")[1] for text in texts]
    assert written == ["""'"streetLine1"': drop""", """'"Phone Number"': drop"""]
    said = f"personal: {{card: id, {', '.join(written)}, "
    assert problems(library, described(LIBRARY_FILE, **{"personal: {card: id, ": said})) == []


def test_policies_that_hide_rows(library: Application) -> None:
    # Forced, a policy also hides rows from the owner.
    library.execute("ALTER TABLE reader ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    found = check(library, described()).problems
    assert any("row-level security" in finding.text for finding in found)


def test_what_looks_like_nothing_personal_is_left_alone(library: Application) -> None:
    library.execute(
        "ALTER TABLE reader ADD level text, ADD joined_on text, ADD ref text, ADD amount text, ADD version"
        " text;"
        "UPDATE reader SET level = '12 Angry Men', joined_on = '2024-05-06', ref = '9780000000001', amount ="
        " '1234567.89',"
        " version = '10.2.33.4567'"
    )
    assert problems(library, described()) == []


def test_notes(library: Application) -> None:
    library.execute(
        "INSERT INTO loan VALUES ('unknown', 1, now()), ('A-1', 1, now() + INTERVAL '5 days'), ('A-1', 1,"
        " 'infinity');"
        "INSERT INTO review VALUES ('C 3', 9780000000001, NULL, now());"
        "ALTER TABLE book DROP CONSTRAINT book_pkey CASCADE"
    )
    said = notes(library, described())
    assert "events.0.time: 1 event(s) have no time, or one outside 1900 to 2299" in said
    assert "events.0.time: 2 event(s) lie more than a day in the future" in said
    assert "events.0.person: 1 event(s) name no person of public.reader" in said
    assert "events.1.scale: 1 row(s) have no opinion" in said
    assert "items.id: isbn is unique now, but public.book has no key of this column alone" in said


def test_no_value_of_a_person_is_shown(library: Application) -> None:
    library.execute("ALTER TABLE reader ADD note text; UPDATE reader SET note = '+47 22 12 34 56'")
    said = notes(library, described())
    for value in ("22 12 34", "ann@example.org", "Ann", "A-1"):
        assert value not in said


def test_a_role_that_may_not_look_says_so(one_library: Application) -> None:
    with source_snapshot(one_library.reader) as session:
        findings = check_source(session, one_library.reader, with_mode("triggers"))[1]
    assert findings.problems == []
    assert sum("nobody looked whether they are personal" in finding.text for finding in findings.all) == 4


def test_the_rights_that_are_named_are_enough(server: PostgresServer) -> None:
    # A schema of its own, and columns named like words of SQL.
    schema = (
        'CREATE SCHEMA "Lib"; ALTER TABLE book SET SCHEMA "Lib"; ALTER TABLE shelf SET SCHEMA "Lib";'
        'ALTER TABLE "Lib".book RENAME title TO "order"; ALTER TABLE reader RENAME gone TO "User";'
    )
    description = described(
        LIBRARY_FILE,
        **{
            "table: book": "table: '\"Lib\".book'",
            "name: title": "name: order",
            "hidden: gone": "hidden: '\"User\"'",
            "floor: shelf_id -> shelf.label": "floor: 'shelf_id -> \"Lib\".shelf.label'",
        },
    )

    def missing(library: Application) -> list[str]:
        with source_snapshot(library.reader) as session:
            return [one.text for one in check_source(session, library.reader, description)[1].problems]

    with application(server, sql=LIBRARY + schema) as library:
        texts = missing(library)
        assert len(texts) == 6
        for text in texts:
            library.execute(text[text.index("GRANT") :])
        assert missing(library) == []


def test_an_unverified_connection_is_told(library: Application) -> None:
    # As if the server were on another machine.
    findings = check(library, described(), host="db.example", sslmode="prefer")
    assert any("not encrypted" in finding.text and "verify-full" in finding.text for finding in findings.all)
