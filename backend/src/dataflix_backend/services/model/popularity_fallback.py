"""What is served while there is no model: popularity, from ratings or else from views in Postgres."""

import threading
import time
from datetime import UTC, datetime

import numpy as np

from dataflix_backend.database import Database, Row
from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.queries.movies import load_movie_statistics
from dataflix_backend.services.model.store import LoadedModel
from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo

# Millions of ratings take seconds to count; popularity changes little in a minute.
LIFETIME_S = 60.0
# The Bayesian mean of a movie includes this many ratings of the overall mean.
PRIOR_RATINGS = 10

# All factors are zero, so weights do not matter; each kind of event only needs one.
_EVEN_WEIGHTS = ConfidenceWeights.from_rows(
    [(0.0, "unknown", 1.0)]
    + [(step / 2, liked, 1.0) for step in range(1, 11) for liked in ("unknown", "liked", "disliked")]
)


class PopularityFallback:
    """Keeps a model whose factors are all zero: every user gets popular movies that the user has not seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._loaded: LoadedModel | None = None
        self._expires_at = 0.0

    def get(self) -> LoadedModel | None:
        """Return the fallback, at most a minute old; None while there are no movies.

        While Postgres is away, it is the last one.

        Raises:
            UnavailableError: Postgres is away, and there was no fallback before.
        """
        with self._lock:
            if time.monotonic() >= self._expires_at:
                try:
                    self._renew()
                except UnavailableError:
                    # An old fallback is better than none; answers made with it are marked as stale.
                    if self._loaded is None:
                        raise
            return self._loaded

    def _renew(self) -> None:
        rows = load_movie_statistics(self._database)
        self._loaded = LoadedModel(_model(rows), None, "popularity", datetime.now(UTC)) if rows else None
        self._expires_at = time.monotonic() + LIFETIME_S if rows else 0.0


def _model(rows: list[Row]) -> Model:
    count = sum(row["ratings_count"] for row in rows)
    overall = sum(row["ratings_sum"] for row in rows) / count if count else 0.0
    info = ModelInfo(
        trained_at=datetime.now(UTC),
        factors=1,
        regularization=1.0,
        alpha=1.0,
        iterations=0,
        seed=0,
        n_users=0,
        n_items=len(rows),
        n_interactions=count,
    )
    return Model(
        info,
        np.array([row["movie_id"] for row in rows], dtype=np.int64),
        np.zeros((len(rows), 1), dtype=np.float32),
        ItemCatalogue.from_items(_item(row, overall) for row in rows),
        _EVEN_WEIGHTS,
    )


def _item(row: Row, overall: float) -> Item:
    count, total = row["ratings_count"], row["ratings_sum"]
    return Item(
        item_id=row["movie_id"],
        title=row["title"],
        genres=tuple(row["genres"]),
        release_year=row["release_year"],
        duration_minutes=row["duration_minutes"],
        ratings_count=count,
        mean_rating=total / count if count else None,
        bayesian_mean=(total + PRIOR_RATINGS * overall) / (count + PRIOR_RATINGS),
        trending_score=row["trending_score"],
        events_count=row["events_count"],
    )
