# ruff: noqa: E501  SQL of the tests
"""Our own Postgres, and databases of other applications on the same server."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import parse_dsn

import create_database
from dataflix_source.capture import install_script
from dataflix_source.client import source_snapshot
from dataflix_source.copying.run import CopyResult, Options, copy
from dataflix_source.description.model import Description
from dataflix_source.description.yaml_file import parse_description
from dataflix_source.looking.catalog import read_catalog
from dataflix_source.settings import OwnSettings, SourceSettings
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer, postgres

EXAMPLES = Path(__file__).parents[2] / "examples"
READER = "dataflix_reader"
READER_PASSWORD = "reads-and-nothing-else"

# A library: text and number ids, a table of loans, one of reviews, categories in one text.
LIBRARY = """
CREATE TABLE reader (
    card text PRIMARY KEY, joined timestamptz, full_name text, mail text, town text, born date, gone boolean,
    changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE shelf (shelf_id integer PRIMARY KEY, label text NOT NULL);
CREATE TABLE book (
    isbn numeric PRIMARY KEY, title text, subjects text, year integer, shelf_id integer REFERENCES shelf,
    changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE copy (barcode bigint PRIMARY KEY, isbn numeric NOT NULL REFERENCES book ON DELETE CASCADE);
CREATE TABLE loan (
    card text, barcode bigint, lent timestamp NOT NULL, changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE review (
    card text REFERENCES reader ON DELETE CASCADE, isbn numeric REFERENCES book ON DELETE CASCADE, points integer,
    written timestamptz NOT NULL, changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON reader FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON book FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON loan FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON review FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO shelf VALUES (1, 'ground floor'), (2, 'first floor');
INSERT INTO book (isbn, title, subjects, year, shelf_id) VALUES
(9780000000001, 'Dune', 'novel; space', 1965, 1), (9780000000002, 'Emma', 'novel', 1815, 2),
(9780000000003, 'Cosmos', 'space;stars', 1980, 1), (9780000000004, '  ', NULL, NULL, NULL);
INSERT INTO copy VALUES (1, 9780000000001), (2, 9780000000001), (3, 9780000000002), (4, 9780000000003);
INSERT INTO reader (card, joined, full_name, mail, town, born) VALUES
('A-1', '2024-01-01 00:00+00', 'Ann Early', 'ann@example.org', 'Oslo', '1980-05-05'),
('a-1', '2024-01-02 00:00+00', 'Bo Late', 'bo@example.org', 'Rome', '1990-05-05'),
('C 3', NULL, 'Cy Li', 'cy@example.org', NULL, NULL);
INSERT INTO loan (card, barcode, lent) VALUES
('A-1', 1, '2026-01-01 12:00'), ('A-1', 2, '2026-02-01 12:00'), ('a-1', 3, '2026-01-05 12:00'),
('C 3', 4, '2026-03-01 12:00');
INSERT INTO review (card, isbn, points, written) VALUES
('A-1', 9780000000001, 10, '2026-02-03 00:00+00'), ('a-1', 9780000000003, 3, '2026-02-04 00:00+00');
"""

LIBRARY_FILE = """\
version: 1
source: {name: library, copy: compare, time_zone: Europe/Berlin}
words: {item: book, items: books, person: reader, people: readers}
people:
  table: reader
  id: card
  joined: joined
  hidden: gone
  changed: changed
  attributes: {first_name: full_name, email: mail, city: town, birth_year: born}
  personal: {card: id, full_name: initial, mail: pseudonym, town: place, born: year}
items:
  table: book
  id: isbn
  name: title
  changed: changed
  categories: {column: subjects, separator: ;}
  attributes: {release_year: year, floor: shelf_id -> shelf.label}
events:
  - kind: borrowed
    weight: 1
    table: loan
    person: card
    item: barcode -> copy.isbn
    time: lent
    changed: changed
    repeats: every
  - kind: reviewed
    table: review
    person: card
    item: isbn
    time: written
    changed: changed
    scale: {column: points, min: 1, max: 10}
"""


def described(text: str = LIBRARY_FILE, **replaced: str) -> Description:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return parse_description(text, "dataflix.yml").description


def with_mode(mode: str) -> Description:
    return described(LIBRARY_FILE.replace("copy: compare", f"copy: {mode}"))


@dataclass
class Application:
    """Another application's database.

    Attributes:
        connection: of the owner of the tables, who is no superuser.
        owner: how the owner reaches it.
        reader: how we reach it to copy.
    """

    name: str
    connection: Connection
    owner: SourceSettings
    reader: SourceSettings

    def execute(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def fetch(self, query: str) -> list[tuple[object, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def script(self, description: Description) -> str:
        with source_snapshot(self.owner) as session:
            return install_script(description, read_catalog(session), READER)

    def install(self, description: Description) -> None:
        run_script(self, self.script(description))


def run_script(application: Application, script: str) -> None:
    lines = [line for line in script.splitlines() if not line.startswith("\\")]
    application.execute("\n".join(lines))


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        with closing(psycopg2.connect(running.dsn("postgres"))) as admin, admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD}'")
            cursor.execute("CREATE ROLE app_owner LOGIN PASSWORD 'owns-the-tables'")
        yield running


@pytest.fixture
def own(server: PostgresServer) -> Iterator[Connection]:
    """Our own database, empty, as a superuser."""
    connection = psycopg2.connect(server.dsn("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE public.users, public.movies RESTART IDENTITY CASCADE")
        cursor.execute(
            "DELETE FROM source.copies; DELETE FROM source.description; DELETE FROM source.event_kinds;"
            "DELETE FROM source.last_attempt; DELETE FROM pii.suppressed_people"
        )
        cursor.execute("DELETE FROM public.erasures; DELETE FROM capture.deletions")
    yield connection
    connection.close()


@pytest.fixture
def own_settings(server: PostgresServer) -> OwnSettings:
    return OwnSettings.from_environ(server.environ)


_numbers = count()


@contextmanager
def application(
    server: PostgresServer, *, template: str | None = None, sql: str = ""
) -> Iterator[Application]:
    """Make a database that belongs to app_owner; it goes with the end of the block."""
    name = f"app_{next(_numbers)}"
    with closing(psycopg2.connect(server.dsn("postgres", "postgres"))) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} OWNER app_owner TEMPLATE {template or 'template0'}")

        def settings(user: str, password: str) -> SourceSettings:
            return SourceSettings(
                host=server.host, port=server.port, dbname=name, user=user, password=password
            )

        owner = settings("app_owner", "owns-the-tables")
        connection = psycopg2.connect(
            host=server.host, port=server.port, dbname=name, user="app_owner", password="owns-the-tables"
        )
        connection.autocommit = True
        made = Application(name, connection, owner, settings(READER, READER_PASSWORD))
        if sql:
            made.execute(sql)
        try:
            yield made
        finally:
            connection.close()
            with admin.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def library(server: PostgresServer) -> Iterator[Application]:
    with application(server, sql=LIBRARY) as made:
        yield made


@pytest.fixture
def readable(library: Application) -> Application:
    """A database that our role may read, as the modes without triggers need it."""
    library.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    return library


@pytest.fixture(scope="session")
def examples(server: PostgresServer) -> Callable[[str], dict[str, str]]:
    """Make an example database when a test first asks for it; returns its addresses by role."""
    made: dict[str, dict[str, str]] = {}

    def get(name: str) -> dict[str, str]:
        if name not in made:
            made[name] = create_database.create(name, server.dsn("postgres", "postgres"))
        return made[name]

    return get


def settings_of(address: str) -> SourceSettings:
    parts = parse_dsn(address)
    return SourceSettings(
        host=parts["host"],
        port=int(parts["port"]),
        dbname=parts["dbname"],
        user=parts["user"],
        password=parts["password"],
    )


def run_copy(
    source: SourceSettings, own_settings: OwnSettings, description: Description, **options: bool
) -> CopyResult:
    return copy(source, own_settings, description, Options(**options))


def fetch(connection: Connection, query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def execute(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def psql(server: PostgresServer, address: str, *arguments: str) -> str:
    import subprocess

    result = subprocess.run(
        [str(cluster.binaries() / arguments[0]), *arguments[1:], address],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


WHAT_CAME = """
SELECT 'person', p.source_key, u.first_name, u.city, u.country, u.birth_year::text, u.email
FROM source.people AS p JOIN users AS u USING (user_id)
UNION ALL
SELECT 'item', i.source_key, m.title, m.genres::text, m.release_year::text, i.attributes::text, NULL
FROM source.items AS i JOIN movies AS m USING (movie_id)
UNION ALL
SELECT 'event', p.source_key, i.source_key, x.kind, x.events_count::text, x.last_at::text, concat(x.rating, x.liked, x.first_at)
FROM interactions AS x JOIN source.people AS p USING (user_id) JOIN source.items AS i USING (movie_id)
UNION ALL
SELECT 'watched', p.source_key, i.source_key, w.watched_at::text, NULL, NULL, NULL
FROM watched_movies AS w JOIN source.people AS p USING (user_id) JOIN source.items AS i USING (movie_id)
UNION ALL
SELECT 'rating', p.source_key, i.source_key, r.rating::text, r.liked::text, r.rated_at::text, NULL
FROM ratings AS r JOIN source.people AS p USING (user_id) JOIN source.items AS i USING (movie_id)
ORDER BY 1, 2, 3, 4
"""


def what_came(own: Connection) -> list[tuple[object, ...]]:
    """All that a copy wrote, by the source's ids."""
    return fetch(own, WHAT_CAME)
