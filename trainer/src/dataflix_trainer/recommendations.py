"""Writes every user's top N to the warehouse, swapped in whole."""

import logging
import re
import secrets
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_recommender import Model, recommend_many
from dataflix_recommender.metrics import NO_ITEM
from dataflix_trainer.errors import DataError
from dataflix_trainer.interactions import Interactions, move_columns
from dataflix_trainer.warehouse import Warehouse

log = logging.getLogger(__name__)

TABLE = "analytics.recommendations"
TOP_N = 20
# 200,000 rows of about 40 bytes at a time, whatever the number of users.
USERS_AT_A_TIME = 10_000
STAGING_TIME_FORMAT = "%Y%m%dT%H%M%S"
STAGING_NAME = re.compile(r"recommendations__(?P<time>\d{8}T\d{6})_[0-9a-f]{8}")
# A table that was swapped out may still be read by a query that began before; none of ours takes that long.
KEEP_OLD_FOR = timedelta(hours=1)


def write_recommendations(
    warehouse: Warehouse, model: Model, version: str, interactions: Interactions, user_ids: NDArray[np.int64]
) -> int:
    """Recommend for ``user_ids`` int64[U] ascending, with what each has seen in ``interactions`` left out.

    Users without events get the popular films. The rows go to a staging table, which is exchanged with
    analytics.recommendations once their number is right: a reader sees the old lists or the new, never a
    mixture. Returns the number of rows. Raises DataError when rows were lost, ServiceUnavailableError.
    """
    _drop_old_tables(warehouse)
    now = datetime.now(UTC)
    staging = f"{TABLE}__{now.strftime(STAGING_TIME_FORMAT)}_{secrets.token_hex(4)}"
    warehouse.command(f"CREATE TABLE {staging} AS {TABLE}")
    written = 0
    for start in range(0, len(user_ids), USERS_AT_A_TIME):
        users = user_ids[start : start + USERS_AT_A_TIME]
        rows = _rows(model, version, now, users, _histories(interactions, users, model))
        warehouse.insert(staging, rows)
        written += rows.num_rows
    stored = int(warehouse.command(f"SELECT count() FROM {staging}"))  # noqa: S608 - the name is ours
    if stored != written:
        raise DataError(f"{staging} holds {stored} rows of {written}; {TABLE} was left as it was")
    warehouse.command(f"EXCHANGE TABLES {TABLE} AND {staging}")
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


def _drop_old_tables(warehouse: Warehouse) -> None:
    """Drop what earlier runs swapped out or left unfinished, once nobody can be reading it."""
    found = warehouse.batches("SHOW TABLES FROM analytics LIKE 'recommendations\\_\\_%'")
    for name in [str(value) for batch in found for value in batch.column(0)]:
        ours = STAGING_NAME.fullmatch(name)
        if ours is None:
            continue
        made_at = datetime.strptime(ours["time"], STAGING_TIME_FORMAT).replace(tzinfo=UTC)
        if made_at < datetime.now(UTC) - KEEP_OLD_FOR:
            warehouse.command(f"DROP TABLE IF EXISTS analytics.{name}")
