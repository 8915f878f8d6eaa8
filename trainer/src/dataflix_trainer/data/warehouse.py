"""Reads what training needs from the warehouse, as Arrow columns: no Python object per event."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import ConfidenceWeights, InvalidModelError, Item, ItemCatalogue, SourceIdentity
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.item_features import item_features, parse_attributes
from dataflix_trainer.errors import DataError, ServiceUnavailableError
from dataflix_trainer.settings import ClickHouseSettings

# A server that is down must be reported within seconds; a large read may be silent for minutes.
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 600

# Error codes of ClickHouse that a person can act on.
UNKNOWN_TABLE_CODES = (47, 60, 81)  # UNKNOWN_IDENTIFIER, of a table from before an update; _TABLE; _DATABASE
AUTHENTICATION_CODES = (192, 193, 194, 516)  # unknown user, wrong or required password, AUTHENTICATION_FAILED

MATRIX_TABLE = "analytics.user_item_matrix"
MATRIX_QUERY = """
    SELECT user_id, movie_id, weight, toUnixTimestamp64Micro(last_event_at) AS event_time
    FROM analytics.user_item_matrix
    ORDER BY user_id, movie_id
"""
MATRIX_COLUMNS = ("user_id", "movie_id", "weight", "event_time")
CATALOGUE_QUERY = """
    SELECT
        movies.movie_id AS movie_id,
        movies.title AS title,
        movies.genres AS genres,
        movies.release_year AS release_year,
        movies.duration_minutes AS duration_minutes,
        movies.director AS director,
        movies.attributes AS attributes,
        ratings.events_count AS events_count,
        ratings.ratings_count AS ratings_count,
        ratings.mean_rating AS mean_rating,
        ratings.bayesian_mean AS bayesian_mean,
        trending.trending_score AS trending_score
    FROM analytics.dim_movies AS movies
    LEFT JOIN analytics.ratings_aggregated AS ratings ON movies.movie_id = ratings.movie_id
    LEFT JOIN analytics.trending_movies AS trending ON movies.movie_id = trending.movie_id
    ORDER BY movie_id
"""
WEIGHTS_QUERY = """
    SELECT rating, liked, kind, weight FROM analytics.confidence_weights ORDER BY rating, liked, kind
"""
SOURCE_QUERY = """
    SELECT source_name, system_identifier, database_oid FROM analytics.data_source ORDER BY source_name
"""
USERS_QUERY = "SELECT user_id FROM analytics.dim_users ORDER BY user_id"


@dataclass(frozen=True, slots=True)
class Items:
    """All I items.

    Attributes:
        ids: int64[I], ascending.
        catalogue: what the model keeps of them.
        features: float64[I, D], what new items are placed by.
    """

    ids: NDArray[np.int64]
    catalogue: ItemCatalogue
    features: csr_matrix


class Warehouse:
    """The analytics database as the trainer uses it.

    Every method raises ServiceUnavailableError when ClickHouse does not answer.
    """

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address

    @classmethod
    @contextmanager
    def connect(cls, settings: ClickHouseSettings) -> "Iterator[Warehouse]":
        """Open a connection, and close it at the end of the block."""
        with translate_errors(settings.address):
            client = clickhouse_connect.get_client(
                host=settings.host,
                port=settings.port,
                username=settings.user,
                password=settings.password,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=READ_TIMEOUT_S,
                autogenerate_session_id=False,
            )
        try:
            yield cls(client, settings.address)
        finally:
            client.close()

    def interactions(self, item_ids: NDArray[np.int64]) -> Interactions:
        """Read ``analytics.user_item_matrix``.

        Args:
            item_ids: int64[I] ascending, all items of the catalogue.

        Raises:
            DataError: the table is empty or inconsistent.
        """
        batches = self.batches(MATRIX_QUERY)
        first = next(batches, None)
        if first is None:
            raise DataError(
                f"analytics.user_item_matrix in ClickHouse at {self._address} is empty: load ratings and run "
                "the pipeline (./run.sh pipeline) before training"
            )
        blocks = (
            tuple(batch.column(name).to_numpy(zero_copy_only=False) for name in MATRIX_COLUMNS)
            for batch in itertools.chain([first], batches)
        )
        return Interactions.from_blocks(blocks, item_ids)

    def items(self) -> "Items":
        """Return all items.

        Raises:
            DataError: there is no item, or its attributes cannot be read.
        """
        # One row per item, not per event: a Python object each is cheap here.
        rows = [row for batch in self.batches(CATALOGUE_QUERY) for row in batch.to_pylist()]
        if not rows:
            raise DataError(
                f"analytics.dim_movies in ClickHouse at {self._address} is empty: run the pipeline first "
                "(./run.sh pipeline)"
            )
        items = [
            Item(
                item_id=row["movie_id"],
                title=row["title"],
                genres=tuple(row["genres"]),
                release_year=row["release_year"],
                duration_minutes=row["duration_minutes"],
                events_count=row["events_count"] or 0,
                ratings_count=row["ratings_count"] or 0,
                mean_rating=row["mean_rating"],
                bayesian_mean=row["bayesian_mean"] or 0.0,
                trending_score=row["trending_score"] or 0.0,
            )
            for row in rows
        ]
        return Items(
            np.array([item.item_id for item in items], dtype=np.int64),
            ItemCatalogue.from_items(items),
            item_features([item.genres for item in items], [_attributes(row) for row in rows]),
        )

    def confidence_weights(self) -> ConfidenceWeights:
        """Return the definition of confidence weights.

        Raises:
            DataError: the table holds no usable definition.
        """
        rows = [row for batch in self.batches(WEIGHTS_QUERY) for row in batch.to_pylist()]
        kinds = {row["kind"]: row["weight"] for row in rows if row["kind"]}
        opinions = [row for row in rows if not row["kind"]]
        try:
            return ConfidenceWeights.from_rows(
                ((row["rating"], row["liked"], row["weight"]) for row in opinions), kinds
            )
        except InvalidModelError as error:
            raise DataError(f"analytics.confidence_weights cannot be used: {error}") from error

    def source(self) -> SourceIdentity:
        """Return the database whose people, items and events the warehouse holds.

        Raises:
            DataError: tables of several databases are mixed.
        """
        rows = [row for batch in self.batches(SOURCE_QUERY) for row in batch.to_pylist()]
        sources = [
            SourceIdentity(row["source_name"], row["system_identifier"], row["database_oid"]) for row in rows
        ]
        if len(sources) != 1:
            raise DataError(
                f"the warehouse at {self._address} holds tables of {len(sources)} databases "
                f"({', '.join(map(str, sources))}), and must hold those of one: elt load --accept-source"
            )
        return sources[0]

    def user_ids(self) -> NDArray[np.int64]:
        """Return the ids int64[U], ascending, of all users."""
        parts = [batch.column("user_id").to_numpy() for batch in self.batches(USERS_QUERY)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """Yield the result of a query block by block, without empty blocks."""
        # Missing rows of a LEFT JOIN are NULL and not 0, and text arrives as text.
        settings = {"join_use_nulls": 1, "output_format_arrow_low_cardinality_as_dictionary": 0}
        with (
            translate_errors(self._address),
            self._client.query_arrow_stream(query, settings=settings, use_strings=True) as stream,
        ):
            for batch in stream:
                if batch.num_rows:
                    yield batch

    def command(self, statement: str) -> Any:
        """Run a statement and return its value, if it has one."""
        with translate_errors(self._address):
            return self._client.command(statement)

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert Arrow rows."""
        with translate_errors(self._address):
            self._client.insert_arrow(table, rows)


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of an item besides its categories: in our columns, and from its source."""
    own = {
        "release_year": row["release_year"],
        "duration_minutes": row["duration_minutes"],
        "director": row["director"],
    }
    return own | parse_attributes(row["movie_id"], row["attributes"])


@contextmanager
def translate_errors(address: str) -> Iterator[None]:
    """Turn errors of the ClickHouse client into the trainer's own, with what to check."""
    try:
        yield
    except ClickHouseError as error:
        code = getattr(error, "code", None)
        if code in UNKNOWN_TABLE_CODES:
            raise DataError(
                f"a table or a column is missing in the warehouse; run the pipeline first ({error})"
            ) from error
        if code in AUTHENTICATION_CODES:
            raise ServiceUnavailableError(
                "ClickHouse",
                address,
                "refused the user trainer",
                check="DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD",
            ) from error
        if isinstance(error, OperationalError):
            raise ServiceUnavailableError(
                "ClickHouse",
                address,
                f"does not answer ({error})",
                check="that it runs, and DATAFLIX_CLICKHOUSE_HOST and _PORT",
            ) from error
        raise ServiceUnavailableError("ClickHouse", address, f"failed: {error}", check="its log") from error
