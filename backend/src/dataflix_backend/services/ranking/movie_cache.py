"""A worker's cache of movies, valid for as long as no movie is written or deleted in Postgres.

The one statement of every list also says which transaction changed movies last. A cached movie is current if
that transaction is older than all transactions that were open, or not yet started, when the cache began to be
filled: change capture stores in each row the transaction that wrote it, and records deletions.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataflix_backend.database import Database, Row
from dataflix_backend.queries.movies import find_movies
from dataflix_backend.queries.ranking_context import MoviesState

# A movie takes about 700 bytes, so this is about 35 MB per worker; more movies are read each time.
MAX_MOVIES = 50_000
# A change by a superuser with triggers off is seen after a day, as it is by the pipeline.
MAX_AGE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class MovieSnapshot:
    """Movies read since one state of the table.

    Attributes:
        state: the state of the table when the snapshot began.
        started_at_s: when that was, by the monotonic clock.
        rows: the movies by movie_id; None for an id that does not exist.
    """

    state: MoviesState
    started_at_s: float
    rows: dict[int, Row | None] = field(default_factory=dict)

    def is_valid_at(self, state: MoviesState) -> bool:
        """Return whether no movie has changed between the snapshot's state and this one."""
        return (
            state.source == self.state.source
            and state.last_xid < self.state.unseen_from
            and time.monotonic() - self.started_at_s < MAX_AGE_S
        )

    def find(self, database: Database, movie_ids: Sequence[int]) -> dict[int, Row]:
        """Return the movies that exist, by movie_id.

        Raises:
            UnavailableError: a movie is not in the snapshot and Postgres does not answer.
        """
        missing = [movie_id for movie_id in movie_ids if movie_id not in self.rows]
        found: dict[int, Row | None] = {}
        if missing:
            found = dict.fromkeys(missing) | find_movies(database, missing)
            if len(self.rows) + len(found) <= MAX_MOVIES:
                self.rows.update(found)
        movies = {movie_id: found.get(movie_id) or self.rows.get(movie_id) for movie_id in movie_ids}
        return {movie_id: movie for movie_id, movie in movies.items() if movie is not None}


class MovieCache:
    """The current snapshot; one for each worker."""

    def __init__(self) -> None:
        self._snapshot: MovieSnapshot | None = None

    def at(self, state: MoviesState) -> MovieSnapshot:
        """Return the snapshot that is valid at ``state``, an empty one if any movie has changed.

        A request uses one snapshot until its end. If it added movies to a snapshot that another request
        started later, those could be older than the change that the other request has seen.
        """
        snapshot = self._snapshot
        if snapshot is None or not snapshot.is_valid_at(state):
            # Of two threads that start a snapshot at once, one wins; both snapshots are valid.
            snapshot = self._snapshot = MovieSnapshot(state, time.monotonic())
        return snapshot
