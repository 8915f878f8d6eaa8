"""Writes the top N of every user to the warehouse."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import NO_ITEM, BatchRanker, Model
from dataflix_trainer.data.interactions import Interactions, latest_times, move_columns
from dataflix_trainer.data.table_swap import swap_table
from dataflix_trainer.data.warehouse import Warehouse

log = logging.getLogger(__name__)

TABLE = "analytics.recommendations"
TOP_N = 20
# 80,000 rows of about 40 bytes at a time, for any number of users.
USERS_PER_PART = 4_000
# Parts that may be ranked and not yet written: enough that the pool never waits for an insert.
PARTS_AHEAD = 2


def write_recommendations(
    warehouse: Warehouse,
    model: Model,
    version: str,
    interactions: Interactions,
    user_ids: NDArray[np.int64],
    *,
    threads: int = 1,
    exchanging: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Replace all published lists by new ones, in one step.

    Users without events get the popular items.

    Args:
        warehouse: gets the lists.
        model: that ranks.
        version: its number.
        interactions: what each user has seen, which their list leaves out.
        user_ids: int64[U] ascending, who gets a list.
        threads: that rank while this one writes; each holds one block of scores.
        exchanging: entered around the step that readers notice.

    Returns:
        The number of rows.

    Raises:
        DataError: rows were lost on the way, or a user was erased meanwhile.
        ServiceUnavailableError: the warehouse does not answer.
    """
    now = datetime.now(UTC)
    slices = (user_ids[start : start + USERS_PER_PART] for start in range(0, len(user_ids), USERS_PER_PART))

    ranker = BatchRanker(model)
    latest = latest_times(interactions.matrix, interactions.times)

    def rank(part: NDArray[np.int64]) -> pa.Table:
        histories, last_at = _histories(interactions, latest, part, model)
        ranked, scores = ranker.recommend(histories, TOP_N, last_at)
        rows, positions = np.nonzero(ranked != NO_ITEM)
        item_ids = model.item_ids[ranked[rows, positions]]
        return _table(version, now, part[rows], positions, item_ids, scores[rows, positions])

    # Most of ranking is in numpy and BLAS, which release the interpreter lock.
    with ThreadPoolExecutor(threads, thread_name_prefix="ranking") as pool:
        lists = rank_ahead(pool, rank, slices, threads + PARTS_AHEAD)
        written = swap_table(
            warehouse, TABLE, lists, lambda staged: find_erased_users(warehouse, staged), exchanging
        )
    log.info("event=recommendations_written rows=%d users=%d version=%s", written, len(user_ids), version)
    return written


def rank_ahead(
    pool: ThreadPoolExecutor,
    rank: Callable[[NDArray[np.int64]], pa.Table],
    parts: Iterable[NDArray[np.int64]],
    max_pending: int,
) -> Iterator[pa.Table]:
    """Yield ``rank`` of each part in order, with at most ``max_pending`` running or waiting to be taken."""
    pending: deque[Future[pa.Table]] = deque()
    for part in parts:
        pending.append(pool.submit(rank, part))
        if len(pending) == max_pending:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def find_erased_users(warehouse: Warehouse, staged: str) -> str | None:
    """Return what is wrong with the staged lists if they hold users who were erased meanwhile, else None.

    Making the lists takes minutes. A user who was erased from the warehouse meanwhile must not come back.
    """
    unknown = "user_id NOT IN (SELECT user_id FROM analytics.dim_users)"
    rows = int(warehouse.command(f"SELECT count() FROM {staged} WHERE {unknown}"))  # noqa: S608 - the name is ours
    return f"{rows} of the rows are of users who were erased meanwhile; publish again" if rows else None


def _histories(
    interactions: Interactions, latest: NDArray[np.int64], user_ids: NDArray[np.int64], model: Model
) -> tuple[csr_matrix, NDArray[np.int64]]:
    """Return the weights of the given users, float32[U, model.size], and the time of their latest events.

    Users without events have empty rows, and the time 0.
    """
    rows = np.searchsorted(interactions.user_ids, user_ids)
    found = np.minimum(rows, len(interactions.user_ids) - 1)
    has_events = interactions.user_ids[found] == user_ids
    counts = np.where(has_events, np.diff(interactions.matrix.indptr)[found], 0)
    chosen = interactions.matrix[found[has_events]]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    histories = csr_matrix((chosen.data, chosen.indices, offsets), (len(user_ids), chosen.shape[1]))
    last_at = np.zeros(len(user_ids), dtype=np.int64)
    last_at[has_events] = latest[found[has_events]]
    return move_columns(histories, model.positions(interactions.item_ids), model.size), last_at


def _table(
    version: str,
    now: datetime,
    *columns: NDArray[np.int64] | NDArray[np.float32],
) -> pa.Table:
    """Return rows of the table; the ``columns`` [n] are users, positions from 0, item ids and scores."""
    users, positions, item_ids, scores = columns
    return pa.table(
        {
            "user_id": users,
            "rank": (positions + 1).astype(np.uint16),
            "movie_id": item_ids,
            "score": scores,
            "model_version": pa.repeat(version, len(users)),
            "generated_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), len(users)),
        }
    )
