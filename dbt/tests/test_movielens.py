"""The models on a MovieLens data set with ratings.csv and movies.csv."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

from dataflix_testkit import clickhouse

from .support import raw
from .support.expected import HALF_LIFE_SECONDS, PRIOR_STRENGTH
from .support.warehouse import Dbt, Warehouse

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


@pytest.fixture(scope="module")
def ratings() -> pa.Table:
    folder = os.environ.get("MOVIELENS_DIR")
    if not folder:
        pytest.skip("MOVIELENS_DIR is not set to a MovieLens folder")
    return csv.read_csv(Path(folder) / "ratings.csv")


@pytest.fixture(scope="module")
def movies(ratings: pa.Table) -> pa.Table:
    return csv.read_csv(Path(os.environ["MOVIELENS_DIR"]) / "movies.csv")


def _load_columns(rows: int) -> dict[str, pa.Array]:
    now = pa.scalar(datetime.now(UTC), UTC_MICROSECONDS)
    return {
        "updated_at": pa.repeat(now, rows),
        "_version": pa.repeat(pa.scalar(1, pa.uint64()), rows),
        "_is_deleted": pa.repeat(pa.scalar(0, pa.uint8()), rows),
        "_extracted_at": pa.repeat(now, rows),
        "_run_id": pa.repeat("test", rows),
    }


def _load(warehouse: Warehouse, ratings: pa.Table, movies: pa.Table) -> None:
    at = pa.array(ratings["timestamp"].to_numpy() * 1_000_000, UTC_MICROSECONDS)
    pair = {"user_id": ratings["userId"], "movie_id": ratings["movieId"]}
    load = _load_columns(len(ratings))
    stars = ratings["rating"].cast(pa.float32())
    liked = pa.nulls(len(ratings), pa.bool_())
    warehouse.insert_arrow(
        "ratings", pa.table({**pair, "rating": stars, "liked": liked, "rated_at": at, **load})
    )
    warehouse.insert_arrow("watched_movies", pa.table({**pair, "watched_at": at, **load}))
    warehouse.insert("users", [raw.user(user_id) for user_id in pc.unique(ratings["userId"]).to_pylist()])
    rows = []
    for movie in movies.to_pylist():
        names = [name for name in movie["genres"].split("|") if not name.startswith("(")]
        rows.append(raw.movie(movie["movieId"], title=movie["title"], genres=names))
    warehouse.insert("movies", rows)


@pytest.fixture(scope="module")
def warehouse(
    ratings: pa.Table, movies: pa.Table, dbt: Dbt, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    with clickhouse() as server:
        loaded = Warehouse(server, dbt, tmp_path_factory.mktemp("movielens"))
        _load(loaded, ratings, movies)
        result = loaded.dbt("build", "--exclude-resource-type", "unit_test")
        assert result.exit_code == 0, result.output
        assert not result.named("warn")
        yield loaded


def test_no_row_is_lost(warehouse: Warehouse, ratings: pa.Table, movies: pa.Table) -> None:
    for table in ("fct_ratings", "fct_watches", "user_item_matrix"):
        assert warehouse.rows(f"SELECT count() FROM analytics.{table}") == [(len(ratings),)]
    assert warehouse.rows("SELECT count() FROM analytics.ratings_aggregated") == [(len(movies),)]
    users = len(pc.unique(ratings["userId"]))
    assert warehouse.rows("SELECT count() FROM analytics.dim_users") == [(users,)]


def test_aggregates_match_the_files(warehouse: Warehouse, ratings: pa.Table) -> None:
    ids, places = np.unique(ratings["movieId"].to_numpy(), return_inverse=True)
    stars = ratings["rating"].to_numpy()
    counts, sums = np.bincount(places), np.bincount(places, stars)
    bayesian = (PRIOR_STRENGTH * stars.mean() + sums) / (PRIOR_STRENGTH + counts)
    query = "SELECT movie_id, ratings_count, mean_rating, bayesian_mean FROM analytics.ratings_aggregated"
    found = np.array(warehouse.rows(f"{query} WHERE ratings_count > 0 ORDER BY movie_id"))
    assert np.array_equal(found[:, 0], ids)
    assert np.array_equal(found[:, 1], counts)
    np.testing.assert_allclose(found[:, 2], sums / counts, rtol=1e-9)
    np.testing.assert_allclose(found[:, 3], bayesian, rtol=1e-9)


def test_trending_scores_count_back_from_the_newest_rating(warehouse: Warehouse, ratings: pa.Table) -> None:
    seconds = ratings["timestamp"].to_numpy()
    # A rating below the neutral one speaks against the movie.
    for_it = ratings["rating"].to_numpy() >= 2.5
    ids, places = np.unique(ratings["movieId"].to_numpy()[for_it], return_inverse=True)
    scores = np.bincount(places, 0.5 ** ((seconds.max() - seconds[for_it]) / HALF_LIFE_SECONDS))
    query = "SELECT movie_id, trending_score FROM analytics.trending_movies ORDER BY movie_id"
    found = np.array(warehouse.rows(query))
    assert np.array_equal(found[:, 0], ids)
    np.testing.assert_allclose(found[:, 1], scores, atol=6e-7)
    best = warehouse.rows("SELECT movie_id FROM analytics.trending_movies WHERE rank = 1")[0][0]
    assert scores[np.searchsorted(ids, best)] == pytest.approx(scores.max(), abs=1e-6)


def test_no_weight_is_zero_and_both_signs_occur(warehouse: Warehouse) -> None:
    counts = (
        "SELECT countIf(weight > 0), countIf(weight < 0), countIf(weight = 0) FROM analytics.user_item_matrix"
    )
    [(positive, negative, zero)] = warehouse.rows(counts)
    assert zero == 0
    assert positive > negative > 0
