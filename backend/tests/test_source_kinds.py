"""A shop without ratings: what people do there counts by its kind, in lists and in their reasons."""

from typing import Any

import numpy as np
import pytest

from dataflix_backend.queries.ranking_context import load_ranking_context
from dataflix_backend.services.ranking.reasons import ReasonWords, is_past
from dataflix_backend.source import EventKind, Identity, Source, Words
from dataflix_recommender import (
    ConfidenceWeights,
    Contribution,
    Events,
    History,
    KindCounts,
    Reason,
)

from .conftest import StartApp, settings_for
from .support.api import ApiClient
from .support.copied import ADDRESS, ITEMS, LONG, Copied, segment
from .support.keys import database


def test_a_history_has_every_item_once_with_its_kinds(copied: Copied) -> None:
    pool = database(copied.server)
    events = load_ranking_context(pool, copied.users[ADDRESS]).events
    pool.close()
    assert events.kinds is not None
    found = {
        (int(events.item_ids[place]), events.kinds.names[code], int(count))
        for place, code, count in zip(
            events.kinds.places, events.kinds.codes, events.kinds.counts, strict=True
        )
    }
    stored = copied.execute(
        "SELECT movie_id, kind, events_count FROM interactions WHERE user_id = %s", (copied.users[ADDRESS],)
    )
    assert found == set(stored)
    # What was sent back is part of the history, though it is no view: it is not recommended again.
    assert copied.movies[ITEMS[5]] in events.item_ids
    assert len(events.item_ids) == len(set(events.item_ids.tolist())) == 5
    weights = ConfidenceWeights.default()
    weighed = History.from_events(events, ConfidenceWeights(weights.rows, {"purchase": 1.5, "returned": -2}))
    by_item = dict(zip(weighed.item_ids.tolist(), weighed.weights.tolist(), strict=True))
    assert by_item[copied.movies[ITEMS[5]]] == -2
    assert by_item[copied.movies[ITEMS[6]]] == pytest.approx(1.5 * np.log2(1 + 3))


def test_reasons_say_what_was_done(shop: ApiClient) -> None:
    listed = shop.get(f"/recommendations/{segment(ADDRESS)}").json["data"]
    assert listed
    for row in listed:
        assert "watched" not in row["reason"]["text"]
        assert "rated" not in row["reason"]["text"]
        assert row["reason"]["text"].startswith("Because of Lamp ")
        assert "(purchase)" in row["reason"]["text"]
        assert {part["kind"] for part in row["reason"]["because"]} <= {"purchase", "view"}
        assert ITEMS[5] != row["movie_id"]


def reason_for(*parts: tuple[int, float | None], kinds: dict[int, str] | None = None) -> tuple[str, str]:
    model = Any
    words = ReasonWords("films", kinds or {}, model)  # type: ignore[arg-type]
    contributions = tuple(Contribution(item, f"Film {item}", rating, 1.0) for item, rating in parts)
    return words.put(Reason("because_you_watched", "", contributions))


def test_sentences() -> None:
    rented = {1: "rented", 2: "rented", 3: "in_cart"}
    assert reason_for((1, None), (2, None), kinds=rented) == (
        "because_of_events",
        "Because you rented Film 1 and Film 2",
    )
    assert reason_for((1, None), (9, 4.5), kinds=rented) == (
        "because_you_rated",
        "Because you rented Film 1 and rated Film 9 4.5★",
    )
    assert reason_for((3, None), (1, None), kinds=rented)[1] == (
        "Because you rented Film 1 and because of Film 3 (in cart)"
    )
    assert reason_for((3, None), kinds=rented)[1] == "Because of Film 3 (in cart)"
    assert reason_for((4, None), kinds=rented)[1] == "Because you watched Film 4"
    words = ReasonWords("films", {}, Any)  # type: ignore[arg-type]
    assert words.put(Reason("different", "")) == ("different", "Something different from your films so far")
    assert [is_past(word) for word in ("rented", "bought", "feed", "view")] == [True, True, False, False]


def test_the_strongest_kind_is_named() -> None:
    kinds = KindCounts.from_rows([{"view": 40, "purchase": 1}, {"view": 2}, {"returned": 3}])
    events = Events(
        np.array([11, 12, 13]), np.full(3, np.nan, dtype=np.float32), np.zeros(3, dtype=np.int8), kinds
    )
    source = Source(
        Identity("shop", None, 1),
        Words(),
        kinds=(EventKind("purchase", 1.5), EventKind("view", 0.2), EventKind("returned", -2.0)),
    )
    words = ReasonWords.of(events, source, Any)  # type: ignore[arg-type]
    assert words.kind_of == {11: "purchase", 12: "view"}


def test_without_ratings_and_without_a_model_counts_rank(
    copied: Copied, tmp_path: Any, shop: ApiClient, start_app: StartApp
) -> None:
    # Other tests rate.
    copied.execute("DELETE FROM ratings")
    app = start_app(settings_for(tmp_path, copied.server))
    client = ApiClient(app.test_client(), shop.contract)
    expected = copied.execute(
        "SELECT i.source_key, count(*) FROM watched_movies JOIN source.items AS i USING (movie_id) GROUP BY 1"
    )
    for path in ("/popular", "/trending"):
        listed = client.get(path, query_string={"limit": 100}).json
        assert listed["meta"]["source"] == "popularity"
        assert {row["movie_id"] for row in listed["data"]} == {key for key, _ in expected}
    popular = client.get("/popular", query_string={"limit": 100}).json["data"]
    assert {row["movie_id"]: row["score"] for row in popular} == dict(expected)
    scores = [row["score"] for row in popular]
    assert scores == sorted(scores, reverse=True)
    for row in client.get(f"/recommendations/{segment(LONG)}").json["data"]:
        assert "watched" not in row["reason"]["text"]
        assert "Not rated" not in row["reason"]["text"]


def test_a_list_without_interactions_has_no_kinds(api: ApiClient, user: int) -> None:
    movie = api.get("/movies?limit=1").json["data"][0]["movie_id"]
    api.post("/watched", {"user_id": user, "movie_id": movie})
    listed = api.get(f"/recommendations/{user}").json["data"]
    assert {part["kind"] for row in listed for part in row["reason"]["because"]} <= {None}
