"""A stand-in while there is no model: popularity, from the ratings that lie in Postgres now."""

import threading
import time
from datetime import UTC, datetime

import numpy as np

from dataflix_backend.database import Database, Row
from dataflix_backend.errors import UnavailableProblem
from dataflix_backend.queries.history import film_statistics
from dataflix_backend.serving.store import Served
from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo

# Counting all ratings takes seconds when there are millions; popularity does not change in a minute.
LIFETIME_S = 60.0
# A film's mean is pulled towards the mean of all films as if by this many ratings.
PRIOR_RATINGS = 10

# It has no taste, so how an event is weighed does not matter; only that each can be.
_EVEN_WEIGHTS = ConfidenceWeights.from_rows(
    [(0.0, "unknown", 1.0)]
    + [(step / 2, liked, 1.0) for step in range(1, 11) for liked in ("unknown", "liked", "disliked")]
)


class PopularityStandIn:
    """Keeps a model whose factors are all zero: everybody gets what is popular, less what they have seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._served: Served | None = None
        self._expires = 0.0

    def served(self) -> Served | None:
        """Return the stand-in, at most a minute old; None while there are no films.

        While Postgres is away it is the last one. Raises UnavailableProblem when there was none before.
        """
        with self._lock:
            if time.monotonic() >= self._expires:
                try:
                    self._renew()
                except UnavailableProblem:
                    # The last one is better than none, and no list made with it passes for a present one.
                    if self._served is None:
                        raise
            return self._served

    def _renew(self) -> None:
        rows = film_statistics(self._database)
        self._served = Served(_model(rows), None, "popularity", datetime.now(UTC)) if rows else None
        self._expires = time.monotonic() + LIFETIME_S if rows else 0.0


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
    )
