"""The models of the small warehouse, against values computed without the project's SQL."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dataflix_recommender import (
    DEFAULT_WEIGHT_ROWS,
    OWN_SOURCE,
    ConfidenceWeights,
    Events,
    History,
    KindCounts,
)

from .support import expected, small
from .support.expected import Key, Rating
from .support.warehouse import Built, Warehouse

PAIR = ("user_id", "movie_id")


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _ratings(warehouse: Warehouse, table: str) -> dict[Key, Rating]:
    rows = warehouse.table(table, *PAIR)
    return {key: Rating(row["rating"], row["is_liked"], _aware(row["rated_at"])) for key, row in rows.items()}


def _watches(warehouse: Warehouse, table: str) -> dict[Key, datetime]:
    return {key: _aware(row["watched_at"]) for key, row in warehouse.table(table, *PAIR).items()}


def _close(wanted: float | None) -> Any:
    return None if wanted is None else pytest.approx(wanted, rel=1e-12)


def test_build_passes_and_warns_only_of_events_without_a_user_or_movie(built: Built) -> None:
    assert built.result.exit_code == 0, built.result.output
    assert built.result.named("warn") == {"assert_no_event_is_held_back"}
    source = built.source
    done = [key for key, event in source.done.items() for _ in event.counts]
    held_back = [key for key in [*source.ratings, *source.watched, *done] if not source.known(key)]
    assert built.result.failures["assert_no_event_is_held_back"] == len(held_back) > 0


def test_staging_shows_the_newest_version_without_deleted_rows(built: Built) -> None:
    [(every_version,)] = built.warehouse.rows("SELECT count() FROM raw.ratings")
    assert every_version > len(built.source.ratings), "the raw rows were merged, so this test proves nothing"
    assert _ratings(built.warehouse, "stg_ratings") == built.source.ratings
    assert _watches(built.warehouse, "stg_watched_movies") == built.source.watched
    assert built.warehouse.table("stg_users", "user_id").keys() == built.source.users
    assert built.warehouse.table("stg_movies", "movie_id").keys() == built.source.genres.keys()


def test_facts_hold_every_event_of_known_users_and_movies(built: Built) -> None:
    ratings = _ratings(built.warehouse, "fct_ratings")
    assert ratings == built.source.known_ratings()
    assert _watches(built.warehouse, "fct_watches") == built.source.known_watches()
    watches = built.warehouse.table("fct_watches", *PAIR)
    assert {key for key, row in watches.items() if row["is_rated"]} == watches.keys() & ratings.keys()


def test_matrix_holds_the_weight_and_last_event_of_each_pair(built: Built) -> None:
    rows = built.warehouse.table("user_item_matrix", *PAIR)
    wanted = expected.matrix(built.source)
    assert rows.keys() == wanted.keys()
    for key, row in rows.items():
        weight, last_event_at = wanted[key]
        assert _aware(row["last_event_at"]) == last_event_at
        # Float32, and a logarithm.
        assert row["weight"] == pytest.approx(weight, rel=1e-6), key


def test_ratings_and_views_alone_weigh_what_they_always_did(built: Built) -> None:
    rows = built.warehouse.table("user_item_matrix", *PAIR)
    ratings, done = built.source.known_ratings(), built.source.known_done()
    alone = [key for key in rows if key not in done]
    assert len(alone) > 200
    assert {key: rows[key]["weight"] for key in alone} == {
        key: expected.weight(ratings.get(key)) for key in alone
    }


def test_events_of_another_application_are_kept_by_kind(built: Built) -> None:
    rows = built.warehouse.table("fct_interactions", *PAIR, "kind")
    found = {key: (row["events_count"], _aware(row["last_event_at"])) for key, row in rows.items()}
    assert found == {
        (*key, kind): (count, done.last_at)
        for key, done in built.source.known_done().items()
        for kind, count in done.counts.items()
        if built.source.kinds[kind] is not None
    }


def test_code_without_a_warehouse_weighs_a_pair_as_dbt_does(built: Built) -> None:
    """What serving makes of a history is what the matrix has for it."""
    source = built.source
    kinds = {kind: weight for kind, weight in source.kinds.items() if weight is not None}
    weights = ConfidenceWeights.from_rows(DEFAULT_WEIGHT_ROWS, kinds)
    rows = built.warehouse.table("user_item_matrix", *PAIR)
    ratings, done = source.known_ratings(), source.known_done()
    opinions = [ratings.get(key) for key in rows]
    events = replace(
        Events.from_rows(
            (place, opinion.stars, opinion.liked) if opinion else (place, None, None)
            for place, opinion in enumerate(opinions)
        ),
        kinds=KindCounts.from_rows([done[key].counts if key in done else {} for key in rows]),
    )
    served = History.from_events(events, weights).weights
    assert served.tolist() == pytest.approx([row["weight"] for row in rows.values()], rel=1e-6)


def test_data_source_is_our_own_while_no_load_says_otherwise(built: Built) -> None:
    rows = built.warehouse.rows(
        "SELECT source_name, system_identifier, database_oid FROM analytics.data_source"
    )
    assert rows == [(OWN_SOURCE.name, OWN_SOURCE.system_identifier, OWN_SOURCE.database_oid)]


def test_confidence_weights_are_the_definition(built: Built) -> None:
    liked = {"unknown": None, "liked": True, "disliked": False}
    rows = built.warehouse.table("confidence_weights", "rating", "liked", "kind")
    kinds = {kind: row["weight"] for (_, _, kind), row in rows.items() if kind}
    assert kinds == {kind: weight for kind, weight in built.source.kinds.items() if weight is not None}
    assert len(rows) == 31 + len(kinds)
    for (stars, opinion, kind), row in rows.items():
        if kind:
            assert (stars, opinion) == (0, "unknown")
            continue
        rating = Rating(stars, liked[opinion], datetime.now(UTC)) if stars else None
        assert row["weight"] == expected.weight(rating) != 0


def test_code_without_a_warehouse_has_the_same_weights(built: Built) -> None:
    rows = built.warehouse.table("confidence_weights", "rating", "liked", "kind")
    assert {key: row["weight"] for key, row in rows.items() if not key[2]} == {
        (rating, liked, ""): weight for rating, liked, weight in DEFAULT_WEIGHT_ROWS
    }


def test_ratings_are_aggregated_for_every_movie(built: Built) -> None:
    rows = built.warehouse.table("ratings_aggregated", "movie_id")
    wanted = expected.movie_ratings(built.source)
    assert rows.keys() == wanted.keys()
    for movie_id, row in rows.items():
        want = wanted[movie_id]
        counts = (row["ratings_count"], row["watches_count"], row["events_count"])
        assert counts == (want.ratings_count, want.watches_count, want.events_count)
        assert row["mean_rating"] == _close(want.mean_rating)
        assert row["bayesian_mean"] == _close(want.bayesian_mean)


def test_trending_movies_are_ranked_by_decayed_events(built: Built) -> None:
    rows = built.warehouse.table("trending_movies", "movie_id")
    wanted = expected.trending(built.source, datetime.now(UTC))
    # Scores are rounded to six decimals.
    assert {m: row["trending_score"] for m, row in rows.items()} == pytest.approx(wanted, abs=6e-7)
    ranked = sorted(rows.values(), key=lambda row: int(row["rank"]))
    assert [row["rank"] for row in ranked] == list(range(1, len(rows) + 1))
    scores = [row["trending_score"] for row in ranked]
    assert scores == sorted(scores, reverse=True)


def test_genres_count_the_events_of_their_movies(built: Built) -> None:
    rows = built.warehouse.table("genre_popularity", "genre")
    wanted = expected.genres(built.source)
    assert rows.keys() == wanted.keys() >= {"Drama", "Unclassified"}
    for name, row in rows.items():
        want = wanted[name]
        assert (row["movies_count"], row["events_count"]) == (want.movies_count, want.events_count)
        assert row["mean_rating"] == _close(want.mean_rating)
        assert row["popularity_share"] == _close(want.popularity_share)


def test_users_have_region_and_activity_but_no_pseudonym(built: Built) -> None:
    rows = built.warehouse.table("dim_users", "user_id")
    assert rows.keys() == built.source.users
    hidden = {"username_hash", "email_hash", "first_name", "last_name", "city", "birth_year"}
    assert not hidden & set(rows[1])
    last_events = built.source.last_events()
    for user_id, row in rows.items():
        assert row["ratings_count"] == sum(user == user_id for user, _ in built.source.known_ratings())
        assert row["watches_count"] == sum(user == user_id for user, _ in built.source.known_watches())
        latest = max((at for (user, _), at in last_events.items() if user == user_id), default=None)
        assert row["last_event_at"] == (latest and latest.replace(tzinfo=None))
    assert rows[40]["last_event_at"] is None, "a user without events must have NULL, not 1970"


def test_hit_rates_count_lists_shown_to_known_users(built: Built) -> None:
    rows = built.warehouse.table("fct_feedback", "recommendation_id", "movie_id", "event")
    assert rows.keys() == small.FEEDBACK.keys()
    assert built.warehouse.table("online_hit_rate", "model_version").keys() == {"", "7"}
    seventh = built.warehouse.table("online_hit_rate", "model_version")["7"]
    assert (seventh["lists_count"], seventh["hit_rate"], seventh["movie_hit_rate"]) == (2, 0.5, 0.25)


def test_columns_in_the_warehouse_match_the_docs(built: Built) -> None:
    manifest = built.warehouse.manifest()
    for node in [*manifest.models.values(), *manifest.sources.values()]:
        table = f"{node['schema']}.{node['name']}"
        query = f"SELECT name, type, comment FROM system.columns WHERE database || '.' || table = '{table}'"
        found = {name: (kind, comment) for name, kind, comment in built.warehouse.rows(query)}
        assert found.keys() == node["columns"].keys(), table
        for name, column in node["columns"].items():
            assert column["data_type"] in (None, found[name][0]), f"{table}.{name}"
            if node["resource_type"] == "model":
                assert found[name][1] == column["description"], f"{table}.{name}"


def test_readers_can_read_the_marts(built: Built) -> None:
    models = built.warehouse.manifest().models
    for name in (name for name, node in models.items() if node["access"] == "public"):
        query = f"SELECT count() FROM analytics.{name}"
        assert built.warehouse.rows_as_reader(query) == built.warehouse.rows(query)


def test_readers_see_users_only_in_marts(built: Built) -> None:
    """The staging views are in the readers' database, but show only what their reader may read in raw."""
    for column in ("city", "birth_year", "email_hash", "user_id"):
        with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|Not enough privileges"):
            built.warehouse.rows_as_reader(f"SELECT {column} FROM analytics.stg_users LIMIT 1")
    columns = built.warehouse.rows_as_reader(
        "SELECT table FROM system.columns WHERE database = 'analytics' AND name IN ('city', 'birth_year')"
        " AND table NOT LIKE 'stg_%'"
    )
    assert columns == []


def test_views_give_every_reader_the_same_result(built: Built) -> None:
    """Joins in a view use the reader's settings; ClickHouse's default joins a missing row to 0."""
    models = built.warehouse.manifest().models
    views = [name for name, node in models.items() if node["config"]["materialized"] == "view"]
    assert "stg_ratings" in views
    for view in views:
        query = f"SELECT * FROM analytics.{view} ORDER BY ALL SETTINGS join_use_nulls = "
        assert built.warehouse.rows(query + "0") == built.warehouse.rows(query + "1"), view


def test_docs_are_generated(built: Built) -> None:
    # The build has compiled every model already.
    docs = built.warehouse.dbt("docs", "generate", "--no-compile")
    assert docs.exit_code == 0, docs.output
    catalogue = built.warehouse.artifact("catalog.json")
    models = built.warehouse.manifest().models.values()
    assert catalogue["nodes"].keys() == {node["unique_id"] for node in models}
    assert not catalogue["errors"]
