"""The command on a shop whose accounts and products have texts as ids."""

import json
from collections.abc import Iterator

import psycopg2
import pytest

from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer

from .conftest import API_KEY, Invoke, serving

ANN = "ann@example.org/1"
LAMP, DESK = "SKU/1, a", "12"

SHOP = """
INSERT INTO users (user_id, username, email) OVERRIDING SYSTEM VALUE
VALUES (501, 'ann', 'a@source.invalid'), (502, 'bc', 'b@source.invalid'), (503, '501', 'c@source.invalid');
INSERT INTO source.people VALUES (%(ann)s, 501), ('ann', 502), ('x', 503);
INSERT INTO movies (movie_id, title, genres) OVERRIDING SYSTEM VALUE
VALUES (601, 'Lamp', '{Light}'), (602, 'Desk', '{Wood}'), (603, '12', '{Wood}'), (604, 'Chair', '{Wood}');
INSERT INTO source.items VALUES
(%(lamp)s, 601, '{"color": "red", "sizes": ["S", "M"]}'), (%(desk)s, 602, '{}'),
('other', 603, '{}'), ('n', 604, '{}');
INSERT INTO source.description VALUES (true, 'product', 'products', 'account', 'accounts', 'text', 'text');
INSERT INTO source.event_kinds VALUES ('purchase', 'events.0', 1);
INSERT INTO source.copies VALUES
('people', 'shop', '7', 1, 5, 'shop', 'compare', 'Everything.', NULL, 'hash', '9', now(), now(), 3, 0);
INSERT INTO ratings (user_id, movie_id, rating) VALUES (502, 604, 5);
"""


@pytest.fixture(scope="module")
def shop_url(pg: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environ = pg.environ | {"DATAFLIX_POSTGRES_DB": "shop"}
    password = environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"]
    cluster.apply_init(host=pg.host, port=pg.port, dbname="shop", password=password, environ=environ)
    with psycopg2.connect(pg.dsn("postgres", "shop")) as connection, connection.cursor() as cursor:
        cursor.execute(SHOP, {"ann": ANN, "lamp": LAMP, "desk": DESK})
    connection.close()
    home = tmp_path_factory.mktemp("shop")
    with serving(home, environ) as url:
        yield url


@pytest.fixture
def shop(isolated: Invoke, shop_url: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("DATAFLIX_API_URL", shop_url)
    monkeypatch.setenv("DATAFLIX_API_KEY", API_KEY)
    return isolated


def test_people_by_the_shop_s_id_or_by_name(shop: Invoke) -> None:
    for name in (ANN, f"id:{ANN}", "name:ann"):
        shown = shop("users", "show", name, "--json")
        assert json.loads(shown.out)["user_id"] == ANN, shown.err
    assert json.loads(shop("users", "show", "bc", "--json").out)["user_id"] == "ann"
    # One person's id is another one's name.
    both = shop("users", "show", "ann")
    assert both.code == 2
    assert "ann is the id of one account and the username of another." in both.err
    assert json.loads(shop("users", "show", "id:ann", "--json").out)["user_id"] == "ann"
    # Our number is nobody's id, and may be a name.
    assert json.loads(shop("users", "show", "501", "--json").out)["user_id"] == "x"
    gone = shop("users", "show", "502")
    assert gone.code == 3
    assert "There is no account with the id or username 502." in gone.err


def test_items_by_the_shop_s_id_or_by_title(shop: Invoke) -> None:
    for name in (LAMP, f"id:{LAMP}", "Lamp", "title:Lamp"):
        assert json.loads(shop("movies", "show", name, "--json").out)["movie_id"] == LAMP
    both = shop("movies", "show", DESK)
    assert "12 is the id of one product and the title of another." in both.err
    assert json.loads(shop("movies", "show", "title:12", "--json").out)["movie_id"] == "other"
    gone = shop("movies", "show", "601")
    assert (gone.code, "There is no product titled 601." in gone.err) == (3, True)
    shown = shop("movies", "show", LAMP)
    assert "red" in shown.out
    assert "S, M" in shown.out
    filtered = json.loads(shop("movies", "list", "--attribute", "color:red", "--json").out)
    assert [row["movie_id"] for row in filtered["data"]] == [LAMP]


def test_writing_and_words_of_the_shop(shop: Invoke) -> None:
    assert shop("rate", ANN, LAMP, "4").code == 0
    listed = json.loads(shop("ratings", "list", ANN, "--json").out)
    assert [row["movie_id"] for row in listed["data"]] == [LAMP]
    removed = shop("ratings", "remove", ANN, LAMP)
    assert f"Rating of product {LAMP} by account {ANN} removed" in removed.err
    recommended = json.loads(shop("recommend", ANN, "--exclude", f"id:{LAMP}", "--json").out)
    assert LAMP not in {row["movie_id"] for row in recommended["data"]}
    assert recommended["data"]
    nothing = shop("recommend", ANN, "--attribute", "color:red", "--exclude", f"id:{LAMP}")
    assert "no product to recommend that was not seen" in nothing.err
    refused = shop("users", "create", "new", "new@example.org")
    assert "copied from shop" in refused.err


def test_an_attribute_filters_each_list_and_is_refused_alike(shop: Invoke) -> None:
    for command in (("popular",), ("trending",), ("movies", "similar", "Chair"), ("movies", "list")):
        passing = json.loads(shop(*command, "--attribute", "color:red", "--json").out)
        assert {row["movie_id"] for row in passing["data"]} <= {LAMP}
        for typed in ("colour:red", "color:rde", "color:red, blue"):
            refused = shop(*command, "--attribute", typed)
            assert (refused.code, refused.out) == (2, ""), command
            assert "There is no" in refused.err
    assert "Did you mean color:red?" in shop("popular", "--attribute", "color:rde").err


def test_our_own_words_stay(dataflix: Invoke) -> None:
    assert "There is no movie titled nothing." in dataflix("movies", "show", "nothing").err
    assert "There is no user named nobody." in dataflix("users", "show", "nobody").err
    assert "Movies" in dataflix("genres").out


def test_source_runs_the_program_of_the_server(isolated: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolated("source", "schema").code == 0
    wrong = isolated("source", "no-such-command")
    assert wrong.code == 2
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    missing = isolated("source", "status")
    assert missing.code == 1
    assert "dataflix-source is not installed in /nowhere" in missing.err
