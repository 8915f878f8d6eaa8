# ruff: noqa: E501  SQL of the tests
"""What is proposed for a database, from a video shop to one that has nothing to recommend."""

from collections.abc import Callable

import pytest

from dataflix_source.client import source_snapshot
from dataflix_source.description.model import CopyMode, Description, Masking
from dataflix_source.description.references import ColumnName
from dataflix_source.description.yaml_file import parse_description, read_description
from dataflix_source.errors import RefusedError
from dataflix_source.looking.proposal import propose
from dataflix_source.settings import SourceSettings
from dataflix_testkit import PostgresServer

from .conftest import EXAMPLES, LIBRARY, Application, application, settings_of


def proposal(settings: SourceSettings) -> tuple[Description, str, list[str]]:
    with source_snapshot(settings) as session:
        text, notes = propose(session, settings)
    return parse_description(text, "proposal").description, text, notes


@pytest.mark.parametrize("name", ["dvdrental", "shop"])
def test_the_examples_are_recognised(examples: Callable[[str], dict[str, str]], name: str) -> None:
    proposed, _, notes = proposal(settings_of(examples(name)["owner"]))
    written = read_description(EXAMPLES / name / "dataflix.yml").description
    assert notes == []
    assert proposed.source.copy_mode is CopyMode.TRIGGERS
    assert (proposed.people.table, proposed.people.id) == (written.people.table, written.people.id)
    assert proposed.items.model_copy(update={"attributes": {}}) == written.items.model_copy(
        update={"attributes": {}}
    )
    assert written.items.attributes.items() <= proposed.items.attributes.items()
    assert len(proposed.events) == 1
    for part in ("table", "person", "item", "time", "repeats"):
        assert getattr(proposed.events[0], part) == getattr(written.events[0], part)
    assert proposed.events[0].kinds == written.events[0].kinds
    # Nothing of a person is copied unless somebody asks for it, and every personal column is named.
    assert proposed.people.attributes == {}
    assert set(proposed.people.personal) == set(written.people.personal)
    assert set(proposed.people.personal.values()) == {Masking.DROP}
    assert set(proposed.events[0].personal) == set(written.events[0].personal)
    assert proposed.words.items == written.words.items


def test_a_library(server: PostgresServer) -> None:
    """Loans without foreign keys, times without a zone, opinions in points, and a card that is a person's id."""
    with application(server, sql=LIBRARY) as library:
        proposed, text, _ = proposal(library.owner)
    assert str(proposed.people.table) == "public.reader"
    assert proposed.people.personal[ColumnName("card")] is Masking.ID
    assert str(proposed.items.table) == "public.book"
    by_table = {str(events.table): events for events in proposed.events}
    assert str(by_table["public.loan"].item) == "barcode -> public.copy.isbn"
    assert "# no foreign key says so" in text
    scale = by_table["public.review"].scale
    assert scale is not None
    assert (scale.column.name, scale.min, scale.max) == ("points", 1, 10)
    assert proposed.source.time_zone == "UTC"


def test_column_names_that_need_quotes(server: PostgresServer) -> None:
    odd = """
    CREATE SCHEMA "My App";
    CREATE TABLE "My App"."User" ("userId" uuid PRIMARY KEY, "eMail" text, "displayName" text, "createdAt" timestamptz);
    CREATE TABLE "My App"."Song" ("songId" uuid PRIMARY KEY, title text, "Genre" text, "Länge (s)" integer);
    CREATE TABLE "My App"."Play" (
        id bigint PRIMARY KEY, "userId" uuid REFERENCES "My App"."User", "songId" uuid REFERENCES "My App"."Song",
        "playedAt" timestamptz NOT NULL, note text, type text DEFAULT 'removed'
    );
    CREATE TABLE "My App"."Heart" ("userId" uuid REFERENCES "My App"."User", what uuid, "at" timestamptz);
    INSERT INTO "My App"."User" VALUES (gen_random_uuid(), 'a@example.org', 'A', now());
    INSERT INTO "My App"."Song" VALUES (gen_random_uuid(), 'S', 'rock', 3);
    INSERT INTO "My App"."Play" SELECT 1, "userId", "songId", now(), 'write to me: a@example.org'
    FROM "My App"."User", "My App"."Song";
    """
    with application(server, sql=odd) as music:
        proposed, text, notes = proposal(music.owner)
    assert [note for note in notes if note.startswith("problem")] == []
    assert proposed.people.table.sql == '"My App"."User"'
    assert ColumnName("eMail") in proposed.people.personal
    assert str(proposed.people.joined) == '"createdAt"'
    assert proposed.events[0].weights == {"removed": -0.5}
    # Its item is behind no key, so a person has to say it.
    assert """both a person and an item; add what has:\n# '"My App"."Heart"'\n""" in text
    # By look, in a table of events.
    assert proposed.events[0].personal[ColumnName("note")] is Masking.DROP


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CREATE TABLE measurement (sensor integer, taken timestamptz, value float8)",
        "CREATE TABLE customer (id integer PRIMARY KEY, email text); CREATE TABLE product (id integer"
        " PRIMARY KEY, name text)",
    ],
    ids=["empty", "no people", "no events"],
)
def test_nothing_to_recommend(server: PostgresServer, sql: str) -> None:
    with (
        application(server, sql=sql) as source,
        pytest.raises(RefusedError, match=r"Write dataflix\.yml by hand"),
    ):
        proposal(source.owner)


def test_a_role_without_rights_gets_names_only(library: Application) -> None:
    proposed, _, notes = proposal(library.reader)
    assert str(proposed.people.table) == "public.reader"
    assert any("nobody looked" in note for note in notes)
