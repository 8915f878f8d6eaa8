"""Films as Postgres has them, in a worker's memory for as long as no film is written or deleted there.

Every list's one statement says which transaction changed films last. A film that was read earlier is still as
Postgres has it if that transaction comes before all that were open or yet to come when the films began to be
read: capture stamps each row with the transaction that wrote it, and writes down what was deleted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataflix_backend.database import Database, Row
from dataflix_backend.queries.history import FilmsState
from dataflix_backend.queries.movies import films_by_id

# A film takes about 700 bytes, so these about 35 MB a worker; more are read anew each time.
MAX_FILMS = 50_000
# What a superuser changes with the triggers off is seen after a day, as it is by the pipeline.
MAX_AGE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FilmsRead:
    """Films read since ``state``; what was looked for and is not there is kept as None."""

    state: FilmsState
    begun_at_s: float
    rows: dict[int, Row | None] = field(default_factory=dict)

    def holds_at(self, state: FilmsState) -> bool:
        """Say whether no film has changed between its own state and this one."""
        return (
            state.source == self.state.source
            and state.changed_in < self.state.unseen_from
            and time.monotonic() - self.begun_at_s < MAX_AGE_S
        )

    def find(self, database: Database, movie_ids: Sequence[int]) -> dict[int, Row]:
        """Return those of the films that exist, by movie_id; raises UnavailableProblem."""
        missing = [movie_id for movie_id in movie_ids if movie_id not in self.rows]
        found: dict[int, Row | None] = {}
        if missing:
            found = dict.fromkeys(missing) | films_by_id(database, missing)
            if len(self.rows) + len(found) <= MAX_FILMS:
                self.rows.update(found)
        films = {movie_id: found.get(movie_id) or self.rows.get(movie_id) for movie_id in movie_ids}
        return {movie_id: film for movie_id, film in films.items() if film is not None}


class KnownFilms:
    """The films that hold at present; one for each worker."""

    def __init__(self) -> None:
        self._read: FilmsRead | None = None

    def at(self, state: FilmsState) -> FilmsRead:
        """Return the films that hold at ``state``, none at first if any has changed.

        A request goes on with what it was given: were it to add films to those begun by another one, they
        could be from before the change that the other has seen.
        """
        read = self._read
        if read is None or not read.holds_at(state):
            # Of two threads that begin at once one wins; both are right.
            read = self._read = FilmsRead(state, time.monotonic())
        return read
