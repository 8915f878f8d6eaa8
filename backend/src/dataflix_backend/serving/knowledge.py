"""What one request knows: Postgres at this moment, or, while it is away, what was last read of it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dataflix_backend.database import Database, Row
from dataflix_backend.errors import NotFoundProblem, UnavailableProblem
from dataflix_backend.queries.history import Ground, ground
from dataflix_backend.queries.movies import films_by_id
from dataflix_backend.serving.known_films import FilmsRead, KnownFilms
from dataflix_backend.serving.last_known import LastKnown
from dataflix_recommender import Events, Model


class Knowledge:
    """Answers from Postgres until that fails, and from memory and model from then on, to the request's end.

    ``stale`` says that it failed; ``as_of`` is when the history was read, None where none was known.
    """

    def __init__(self, database: Database, last_known: LastKnown, known_films: KnownFilms) -> None:
        self._database = database
        self._last_known = last_known
        self._known_films = known_films
        self._films_read: FilmsRead | None = None
        self._read_at_s: float | None = None
        self.stale = False

    @property
    def as_of(self) -> datetime | None:
        """When the history was read that a stale answer is made from."""
        if not self.stale or self._read_at_s is None:
            return None
        # Reckoned back from now: a clock that was set back meanwhile would have it read in the future.
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self._read_at_s)

    def ground(self, user_id: int | None) -> Ground:
        """Return what a ranking starts from, for a user or for nobody in particular (None).

        Of somebody whom this worker never read, nothing is known while Postgres is away: not even whether
        there is such a user. Raises NotFoundProblem for an unknown user.
        """
        try:
            found = ground(self._database, user_id)
        except NotFoundProblem:
            self._last_known.forget(user_id)
            raise
        except UnavailableProblem:
            self.stale = True
            kept = self._last_known.find(user_id)
            if kept is not None:
                self._read_at_s = kept.read_at_s
                return kept.ground
            nobody = self._last_known.find(None)
            return Ground(Events.from_rows([]), [], nobody.ground.rules if nobody else [])
        self._read_at_s = time.monotonic()
        self._last_known.keep(user_id, found)
        self._films_read = self._known_films.at(found.films) if found.films else None
        return found

    def films(self, movie_ids: Sequence[int], model: Model) -> dict[int, Row]:
        """Return those of the films that exist, by movie_id; without Postgres, as the model knows them.

        After ``ground`` they are as of that moment or later, and mostly take no statement of their own.
        """
        if not self.stale:
            try:
                if self._films_read is not None:
                    return self._films_read.find(self._database, movie_ids)
                return films_by_id(self._database, movie_ids)
            except UnavailableProblem:
                self.stale = True
        positions = model.positions(list(movie_ids)).tolist() if movie_ids else []
        catalogue = model.catalogue
        return {
            movie_id: {
                "movie_id": movie_id,
                "title": catalogue.title(position),
                "genres": list(catalogue.genres(position)),
                "release_year": catalogue.release_year(position),
            }
            for movie_id, position in zip(movie_ids, positions, strict=True)
            if position >= 0
        }
