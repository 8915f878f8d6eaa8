"""People of a copy: what is stored of them, and keys that are bound to them."""

import json

from .support.api import ApiClient
from .support.copied import ADDRESS, ITEMS, LONG, Copied, segment
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


def test_items_of_a_copy_are_added_in_the_application(shop: ApiClient) -> None:
    refused = shop.post("/movies", {"title": "Lamp 99"}).problem(409)
    assert refused["type"] == "urn:dataflix:problem:copied-from-source"
    shop.post("/movies", {}).problem(422)


def test_a_view_of_a_copy_is_taken_back_by_the_source_s_ids(shop: ApiClient, copied: Copied) -> None:
    path = f"/watched/{segment(ADDRESS)}/{segment(ITEMS[1])}"
    assert shop.post("/watched", {"user_id": ADDRESS, "movie_id": ITEMS[1]}).status in (200, 201)
    assert shop.delete(path).status == 204
    assert ADDRESS in shop.delete(path).problem(404)["detail"]
