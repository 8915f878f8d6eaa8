"""Writes every user's top N to the warehouse, swapped in whole."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import NO_ITEM, BatchRanker, Model
from dataflix_trainer.data.interactions import Interactions, move_columns
from dataflix_trainer.data.table_swap import replace_rows
from dataflix_trainer.data.warehouse import Warehouse

log = logging.getLogger(__name__)

TABLE = "analytics.recommendations"
TOP_N = 20
# 80,000 rows of about 40 bytes at a time, whatever the number of users.
USERS_AT_A_TIME = 4_000
# Parts that may be ranked and not yet written: enough for a pool that never waits for an insert.
PARTS_AHEAD = 2


def write_recommendations(
    warehouse: Warehouse,
    model: Model,
    version: str,
    interactions: Interactions,
    user_ids: NDArray[np.int64],
    *,
    threads: int = 1,
) -> int:
    """Recommend for ``user_ids`` int64[U] ascending, with what each has seen in ``interactions`` left out.

    Users without events get the popular films. The rows take the place of all that are there, in one step.
    ``threads`` rank while this one writes; each takes the memory of one block of scores.
    Returns the number of rows. Raises DataError when rows were lost, ServiceUnavailableError.
    """
    now = datetime.now(UTC)
    slices = (user_ids[start : start + USERS_AT_A_TIME] for start in range(0, len(user_ids), USERS_AT_A_TIME))

    ranker = BatchRanker(model)

    def rank(part: NDArray[np.int64]) -> pa.Table:
        ranked, scores = ranker.recommend(_histories(interactions, part, model), TOP_N)
        rows, places = np.nonzero(ranked != NO_ITEM)
        films = model.item_ids[ranked[rows, places]]
        return _table(version, now, part[rows], places, films, scores[rows, places])

    # The heavy parts of ranking are numpy's and BLAS', which let other threads compute meanwhile.
    with ThreadPoolExecutor(threads, thread_name_prefix="ranking") as pool:
        lists = ranked_ahead(pool, rank, slices, threads + PARTS_AHEAD)
        written = replace_rows(warehouse, TABLE, lists, lambda staged: erased_users(warehouse, staged))
    log.info("event=recommendations_written rows=%d users=%d version=%s", written, len(user_ids), version)
    return written


def ranked_ahead(
    pool: ThreadPoolExecutor,
    rank: Callable[[NDArray[np.int64]], pa.Table],
    parts: Iterable[NDArray[np.int64]],
    most: int,
) -> Iterator[pa.Table]:
    """Yield ``rank`` of each part in their order, with at most so many under way or waiting to be taken."""
    under_way: deque[Future[pa.Table]] = deque()
    for part in parts:
        under_way.append(pool.submit(rank, part))
        if len(under_way) == most:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def erased_users(warehouse: Warehouse, staged: str) -> str | None:
    """Say whether lists were made of users who are not known any more; None when all are.

    Making the lists takes minutes, and whoever was erased from the warehouse meanwhile must not come back.
    """
    unknown = "user_id NOT IN (SELECT user_id FROM analytics.dim_users)"
    rows = int(warehouse.command(f"SELECT count() FROM {staged} WHERE {unknown}"))  # noqa: S608 - the name is ours
    return f"{rows} of the rows are of users who were erased meanwhile; publish again" if rows else None


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


def _table(
    version: str,
    now: datetime,
    *columns: NDArray[np.int64] | NDArray[np.float32],
) -> pa.Table:
    """Return the rows of the table; the ``columns`` [n] are users, places from 0, films and scores."""
    users, places, films, scores = columns
    return pa.table(
        {
            "user_id": users,
            "rank": (places + 1).astype(np.uint16),
            "movie_id": films,
            "score": scores,
            "model_version": pa.repeat(version, len(users)),
            "generated_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), len(users)),
        }
    )
