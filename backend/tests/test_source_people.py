"""People of a copy: what is stored of them, and keys that are bound to them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dataflix_backend import key_commands
from dataflix_backend.api_key import secret_hash
from dataflix_backend.database import Database
from dataflix_backend.queries.api_keys import find_key
from dataflix_backend.queries.source import load_source
from dataflix_backend.source import IdForm, Source

from .support.api import ApiClient
from .support.copied import ADDRESS, ITEMS, LONG, Copied, segment
from .support.keys import database
from .test_keys import keys_command


def test_an_export_has_the_source_s_id_and_every_interaction(shop: ApiClient, copied: Copied) -> None:
    exported = shop.get(f"/users/{segment(ADDRESS)}/export").json
    assert exported["user"]["user_id"] == ADDRESS
    stored = copied.execute(
        "SELECT i.source_key, x.kind, x.events_count FROM interactions AS x"
        " JOIN source.items AS i USING (movie_id) WHERE user_id = %s",
        (copied.users[ADDRESS],),
    )
    found = {(row["movie_id"], row["kind"], row["events_count"]) for row in exported["interactions"]}
    assert found == set(stored)
    assert len(found) == 6
    bought = next(row for row in exported["interactions"] if row["movie_id"] == ITEMS[0])
    assert (bought["title"], bought["attributes"]["color"]) == ("Lamp 0", "red")
    assert bought["first_at"] == "2026-05-01T00:00:00Z"


def test_attributes_that_look_like_times_are_exported_as_they_are(shop: ApiClient, copied: Copied) -> None:
    changed = "UPDATE source.items SET attributes = attributes || %s::jsonb WHERE source_key = %s"
    copied.execute(changed, ('{"sold_at": "the corner"}', ITEMS[0]))
    try:
        rows = shop.get(f"/users/{segment(ADDRESS)}/export").json["interactions"]
        assert {row["attributes"].get("sold_at") for row in rows if row["movie_id"] == ITEMS[0]} == {
            "the corner"
        }
    finally:
        copied.execute("UPDATE source.items SET attributes = attributes - 'sold_at'")


def test_a_key_is_bound_by_the_source_s_id(shop: ApiClient, copied: Copied) -> None:
    made = keys_command(copied.server, "create", "long", "--scope", "read", "--user", LONG)
    assert made.returncode == 0, made.stderr
    assert shop.get(f"/users/{segment(LONG)}", key=made.stdout.strip()).status == 200
    shop.get(f"/users/{segment(ADDRESS)}", key=made.stdout.strip()).problem(403)
    listed = json.loads(keys_command(copied.server, "list", "--json").stdout)
    assert [row["user_id"] for row in listed if row["name"] == "long"] == [LONG]
    unknown = keys_command(copied.server, "create", "who", "--scope", "read", "--user", "nobody/here")
    assert unknown.returncode == 1
    assert "There is no account with the id nobody/here." in unknown.stderr


CONTROL = "bell\x07 \x1b[31m red"


@pytest.mark.parametrize(
    "ids",
    [
        ("uuid", "9b2f7f0e-58a1-4f7d-9f4c-0d5c3f6f1a11", "9B2F7F0E58A14F7D9F4C0D5C3F6F1A11"),
        ("text", CONTROL, CONTROL),
        ("int8", "-12", "-012"),
    ],
)
def test_keys_of_a_source_s_person_live_until_the_person_is_erased(
    shop: ApiClient, copied: Copied, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, str, str]
) -> None:
    id_type, stored, given = ids
    for variable, value in copied.server.environ.items():
        monkeypatch.setenv(variable, value)

    def source_of(connection: Database) -> Source:
        return replace(load_source(connection), person_ids=IdForm(id_type))

    # The copy of all tests has texts; the running API must not see another type.
    monkeypatch.setattr(key_commands, "load_source", source_of)

    def keys(*words: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(key_commands.keys, words)
        assert ended.exit_code == code, ended.output
        return ended

    def row_of(name: str) -> dict[str, Any]:
        (row,) = [row for row in json.loads(keys("list", "--json").stdout) if row["name"] == name]
        return dict(row)

    number = copied.add_person(stored)
    name = f"of-{id_type}"
    try:
        first = keys("create", name, "--scope", "read", "--user", given).stdout.strip()
        assert row_of(name)["user_id"] == (int(stored) if id_type == "int8" else stored)
        assert "\x1b" not in keys("list").stdout
        second = keys("rotate", name, "--overlap", "1").stdout.strip()
        assert row_of(name)["good_secrets"] == 2
        assert {find(copied, secret) for secret in (first, second)} == {number}
        third = keys("rotate", name, "--overlap", "0").stdout.strip()
        assert [find(copied, secret) for secret in (first, second, third)] == [number, None, number]
        keys("revoke", name)
        assert [find(copied, secret) for secret in (first, third)] == [None, None]
        assert "is revoked" in keys("rotate", name, code=1).stderr
        last = keys("create", f"{name}-again", "--scope", "write", "--user", given).stdout.strip()
        assert find(copied, last) == number
    finally:
        # As a copy does when the person is gone in the source.
        copied.execute("SELECT count(*) FROM erase_user(%s)", (number,))
    assert find(copied, last) is None
    shop.get("/popular", key=last).problem(401)
    assert name not in keys("list").stdout
    assert copied.execute("SELECT count(*) FROM access.api_keys WHERE user_id = %s", (number,)) == [(0,)]


def find(copied: Copied, secret: str) -> int | None:
    connection = database(copied.server)
    key = find_key(connection, secret_hash(secret))
    connection.close()
    return key.user_id if key else None


def test_items_of_a_copy_are_added_in_the_application(shop: ApiClient) -> None:
    refused = shop.post("/movies", {"title": "Lamp 99"}).problem(409)
    assert refused["type"] == "urn:dataflix:problem:copied-from-source"
    shop.post("/movies", {}).problem(422)


def test_a_view_of_a_copy_is_taken_back_by_the_source_s_ids(shop: ApiClient, copied: Copied) -> None:
    path = f"/watched/{segment(ADDRESS)}/{segment(ITEMS[1])}"
    assert shop.post("/watched", {"user_id": ADDRESS, "movie_id": ITEMS[1]}).status in (200, 201)
    assert shop.delete(path).status == 204
    assert ADDRESS in shop.delete(path).problem(404)["detail"]
