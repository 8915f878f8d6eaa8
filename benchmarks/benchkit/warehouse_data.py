"""Fills ClickHouse: the raw tables as loads do, or the marts as dbt does."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchkit.postgres_data import GENRES
from benchkit.synthetic_ratings import START_S, Ratings
from dataflix_recommender import DEFAULT_WEIGHT_ROWS, ConfidenceWeights
from dataflix_testkit import ClickHouseServer

ROWS_AT_A_TIME = 1_000_000
# The time of the load: after the newest rating.
LOADED_AT = datetime(2025, 1, 1, tzinfo=UTC)
# The marts and columns that the trainer reads.
MARTS = """
CREATE OR REPLACE TABLE analytics.user_item_matrix
    (user_id Int64, movie_id Int64, weight Float32, last_event_at DateTime64(6, 'UTC'))
    ENGINE = MergeTree ORDER BY (user_id, movie_id);
CREATE OR REPLACE TABLE analytics.confidence_weights
    (rating Float32, liked String, kind String, weight Float32)
    ENGINE = MergeTree ORDER BY (rating, liked, kind);
CREATE OR REPLACE TABLE analytics.dim_movies
    (movie_id Int64, title String, genres Array(String), release_year Nullable(Int16),
     duration_minutes Nullable(Int16), director Nullable(String), attributes String DEFAULT '{}')
    ENGINE = MergeTree ORDER BY movie_id;
CREATE OR REPLACE TABLE analytics.ratings_aggregated
    (movie_id Int64, events_count UInt64, ratings_count UInt64, mean_rating Nullable(Float64),
     bayesian_mean Float64)
    ENGINE = MergeTree ORDER BY movie_id;
CREATE OR REPLACE TABLE analytics.trending_movies (movie_id Int64, trending_score Float64)
    ENGINE = MergeTree ORDER BY movie_id;
CREATE OR REPLACE TABLE analytics.data_source
    (source_name String, system_identifier String, database_oid UInt64)
    ENGINE = MergeTree ORDER BY source_name;
CREATE OR REPLACE TABLE analytics.dim_users (user_id Int64) ENGINE = MergeTree ORDER BY user_id;
"""


def fill_raw(server: ClickHouseServer, ratings: Ratings, *, version: int = 1) -> None:
    """Add users, movies, ratings, and a view for each rating, as a load of this version would."""
    client = server.client("elt_writer", database="raw")
    users, movies = np.unique(ratings.users), np.arange(1, ratings.n_movies + 1)
    if version == 1:
        _insert(client, "users", _user_rows(users), version)
        _insert(client, "movies", _movie_rows(movies), version)
    events = {"user_id": ratings.users, "movie_id": ratings.movies}
    at = _microseconds(ratings.seconds)
    _insert(
        client,
        "ratings",
        pa.table({**events, "rating": ratings.stars, "rated_at": at, "updated_at": at}),
        version,
    )
    _insert(client, "watched_movies", pa.table({**events, "watched_at": at, "updated_at": at}), version)
    client.close()


def fill_marts(server: ClickHouseServer, ratings: Ratings) -> None:
    """Replace the marts that the trainer reads. Weights are those of ratings without a thumb."""
    admin = server.client("dataflix_admin")
    for statement in filter(None, map(str.strip, MARTS.split(";"))):
        admin.command(statement)
    matrix = pa.table(
        {
            "user_id": ratings.users,
            "movie_id": ratings.movies,
            "weight": weights_of(ratings),
            "last_event_at": _microseconds(ratings.seconds),
        }
    )
    for start in range(0, len(matrix), ROWS_AT_A_TIME):
        admin.insert_arrow("analytics.user_item_matrix", matrix.slice(start, ROWS_AT_A_TIME))
    admin.insert(
        "analytics.confidence_weights", DEFAULT_WEIGHT_ROWS, column_names=["rating", "liked", "weight"]
    )
    movies = _movie_rows(np.arange(1, ratings.n_movies + 1)).select(
        ["movie_id", "title", "genres", "release_year"]
    )
    admin.insert_arrow("analytics.dim_movies", movies)
    admin.insert_arrow("analytics.dim_users", pa.table({"user_id": np.arange(1, ratings.n_users + 1)}))
    admin.command("INSERT INTO analytics.data_source VALUES ('dataflix', '', 0)")
    admin.command(
        "INSERT INTO analytics.ratings_aggregated SELECT movie_id, count(), count(), avg(weight) + 2.5,"
        " (25 + sum(weight) + 2.5 * count()) / (10 + count()) FROM analytics.user_item_matrix"
        " GROUP BY movie_id"
    )
    admin.command(
        "INSERT INTO analytics.trending_movies SELECT movie_id, count() / 10 FROM analytics.user_item_matrix"
        " GROUP BY movie_id"
    )
    admin.close()


def weights_of(ratings: Ratings) -> Any:
    """Return float32[n], the confidence weight of each rating."""
    steps = np.arange(1, 11)
    table = ConfidenceWeights.default().weigh(steps / 2, np.zeros_like(steps))
    return table[(ratings.stars * 2).astype(np.int64) - 1]


def _user_rows(users: Any) -> pa.Table:
    hashes = pc.utf8_lpad(pa.array(users).cast(pa.string()), 64, "0")
    stars = pa.repeat("A***", len(users))
    since = _microseconds(np.full(len(users), START_S))
    masked = {"username_hash": hashes, "email_hash": hashes, "first_name": stars, "last_name": stars}
    countries = np.array(["Austria", "France", "Portugal", "Finland"])[users % 4]
    return pa.table(
        {"user_id": users, **masked, "country": countries, "created_at": since, "updated_at": since}
    )


def _movie_rows(ids: Any) -> pa.Table:
    since = _microseconds(np.full(len(ids), START_S))
    genres = [[GENRES[place % len(GENRES)], "Musical"][: 1 + place % 2] for place in ids.tolist()]
    titles = np.char.add("The Movie of ", ids.astype(str))
    years = pa.array((1930 + ids % 95).astype(np.int16))
    details = {"title": titles, "genres": pa.array(genres), "release_year": years}
    return pa.table({"movie_id": ids, **details, "created_at": since, "updated_at": since})


def _microseconds(seconds: Any) -> Any:
    return pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC"))


def _insert(client: Any, table: str, rows: pa.Table, version: int) -> None:
    meta = {
        "_version": pa.repeat(pa.scalar(version, pa.uint64()), len(rows)),
        "_extracted_at": pa.repeat(pa.scalar(LOADED_AT, pa.timestamp("us", "UTC")), len(rows)),
        "_run_id": pa.repeat("benchmark", len(rows)),
    }
    for name, column in meta.items():
        rows = rows.append_column(name, column)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        client.insert_arrow(table, rows.slice(start, ROWS_AT_A_TIME))
