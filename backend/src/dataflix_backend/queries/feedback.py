"""Feedback on recommended movies."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import errors as pg

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnknownIdError
from dataflix_backend.schemas.feedback import NewFeedback

# A dismissal lasts: it also extends a block that would end.
_STORE = """
WITH given AS (
    SELECT *
    FROM unnest(
        %(recommendation_ids)s::text[], %(movie_ids)s::bigint[], %(events)s::text[], %(user_ids)s::bigint[],
        %(positions)s::smallint[], %(model_versions)s::text[], %(listed_at)s::timestamptz[]
    ) AS g (recommendation_id, movie_id, event, user_id, position, model_version, listed_at)
),
stored AS (
    INSERT INTO feedback (recommendation_id, movie_id, event, user_id, position, model_version, listed_at)
    SELECT *
    FROM given
    ON CONFLICT (recommendation_id, movie_id, event) DO NOTHING
    RETURNING movie_id
),
blocked AS (
    INSERT INTO user_blocks (user_id, movie_id, owner)
    SELECT DISTINCT user_id, movie_id, 'dismissed'
    FROM given
    WHERE event = 'dismissed' AND user_id IS NOT NULL
    ON CONFLICT (user_id, movie_id) DO UPDATE SET owner = excluded.owner, ends_at = NULL
    WHERE user_blocks.ends_at IS NOT NULL
)
SELECT count(*) AS stored
FROM stored
"""

# Postgres names the missing key and its value, as in: Key (movie_id)=(7) is not present in table "movies".
_MISSING = re.compile(r"\((user|movie)_id\)=\((\d+)\)")


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """An event, and what the id of its list says.

    Attributes:
        event: what the client sent.
        model_version: the model that made the list, empty for the popularity fallback.
        listed_at: when the list was made.
    """

    event: NewFeedback
    model_version: str
    listed_at: datetime


def insert_feedback(database: Database, records: Sequence[FeedbackRecord]) -> int:
    """Store events and block what users dismissed; returns how many events were new.

    Raises:
        UnknownIdError: a user or a movie does not exist; nothing was written.
    """
    events = [record.event for record in records]
    parameters = {
        "recommendation_ids": [event.recommendation_id for event in events],
        "movie_ids": [event.movie_id for event in events],
        "events": [event.event for event in events],
        "user_ids": [event.user_id for event in events],
        "positions": [event.position for event in events],
        "model_versions": [record.model_version for record in records],
        "listed_at": [record.listed_at for record in records],
    }
    try:
        return int(database.query(_STORE, parameters)[0]["stored"])
    except pg.ForeignKeyViolation as error:
        missing = _MISSING.search(error.diag.message_detail or "")
        if missing is None:
            raise
        raise UnknownIdError(missing[1], int(missing[2])) from error
