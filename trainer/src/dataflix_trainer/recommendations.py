"""Writes every user's top N to the warehouse, swapped in whole."""

import logging
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import Model, recommend_many
from dataflix_recommender.metrics import NO_ITEM
from dataflix_trainer.interactions import Interactions, move_columns
from dataflix_trainer.replacing import replace_rows
from dataflix_trainer.warehouse import Warehouse

log = logging.getLogger(__name__)

TABLE = "analytics.recommendations"
TOP_N = 20
# 200,000 rows of about 40 bytes at a time, whatever the number of users.
USERS_AT_A_TIME = 10_000


def write_recommendations(
    warehouse: Warehouse, model: Model, version: str, interactions: Interactions, user_ids: NDArray[np.int64]
) -> int:
    """Recommend for ``user_ids`` int64[U] ascending, with what each has seen in ``interactions`` left out.

    Users without events get the popular films. The rows take the place of all that are there, in one step.
    Returns the number of rows. Raises DataError when rows were lost, ServiceUnavailableError.
    """
    now = datetime.now(UTC)
    slices = (user_ids[start : start + USERS_AT_A_TIME] for start in range(0, len(user_ids), USERS_AT_A_TIME))
    lists = (_rows(model, version, now, part, _histories(interactions, part, model)) for part in slices)
    written = replace_rows(warehouse, TABLE, lists)
    log.info("event=recommendations_written rows=%d users=%d version=%s", written, len(user_ids), version)
    return written


def _histories(interactions: Interactions, user_ids: NDArray[np.int64], model: Model) -> csr_matrix:
    """Return [U, model.size] weights of the given users; a row is empty for a user without events."""
    rows = np.searchsorted(interactions.user_ids, user_ids)
    found = np.minimum(rows, len(interactions.user_ids) - 1)
    has_events = interactions.user_ids[found] == user_ids
    counts = np.where(has_events, np.diff(interactions.matrix.indptr)[found], 0)
    chosen = interactions.matrix[found[has_events]]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    histories = csr_matrix((chosen.data, chosen.indices, offsets), (len(user_ids), chosen.shape[1]))
    return move_columns(histories, model.positions(interactions.item_ids), model.size)


def _rows(
    model: Model, version: str, now: datetime, users: NDArray[np.int64], histories: csr_matrix
) -> pa.Table:
    ranked, scores = recommend_many(model, histories, TOP_N)
    filled = ranked != NO_ITEM
    row, place = np.nonzero(filled)
    return pa.table(
        {
            "user_id": users[row],
            "rank": (place + 1).astype(np.uint16),
            "movie_id": model.item_ids[ranked[filled]],
            "score": scores[filled],
            "model_version": pa.repeat(version, len(row)),
            "generated_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), len(row)),
        }
    )
