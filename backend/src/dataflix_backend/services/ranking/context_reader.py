"""What a request needs to rank movies: from Postgres, or from the worker's memory while that is away."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dataflix_backend.database import Database, Row
from dataflix_backend.exceptions import UnavailableError, UnknownIdError
from dataflix_backend.queries.attributes import find_movies_with
from dataflix_backend.queries.movies import find_movies
from dataflix_backend.queries.ranking_context import RankingContext, load_ranking_context
from dataflix_backend.schemas.attributes import AttributeFilter
from dataflix_backend.services import attributes
from dataflix_backend.services.ranking.movie_cache import MovieCache, MovieSnapshot
from dataflix_backend.services.ranking.stale_context_cache import StaleContextCache
from dataflix_backend.source import Source
from dataflix_recommender import Events, Model

_NO_CONTEXT = RankingContext(Events.from_rows([]), [], [])


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The state of the data for one request; immutable.

    Attributes:
        ranking: events, blocks and rules; empty for rankings that need none.
        movies: the cached movies that are current for this request, None where the cache cannot be used.
        is_stale: whether Postgres is away, so that memory and model answer instead.
        read_at_s: when ``ranking`` was read, by the monotonic clock; None if it was not.
    """

    ranking: RankingContext = _NO_CONTEXT
    movies: MovieSnapshot | None = None
    is_stale: bool = False
    read_at_s: float | None = None

    @property
    def as_of(self) -> datetime | None:
        """When the history of a stale answer was read; None for a fresh answer and for an unknown history."""
        if not self.is_stale or self.read_at_s is None:
            return None
        # Counted back from now: with a wall clock that was set back, the time would lie in the future.
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self.read_at_s)

    def with_events(self, events: Events) -> "RequestContext":
        """Return this context with other events and no blocks, for a session."""
        return replace(self, ranking=replace(self.ranking, events=events, blocked=[]))


class ContextReader:
    """Reads contexts and movies; it keeps no state of a request."""

    def __init__(
        self,
        database: Database,
        stale_contexts: StaleContextCache,
        movie_cache: MovieCache,
        source: Callable[[], Source],
    ) -> None:
        self._database = database
        self._stale_contexts = stale_contexts
        self._movie_cache = movie_cache
        self._source = source

    @property
    def source(self) -> Source:
        """What our tables are a copy of."""
        return self._source()

    def read(self, user_id: int | None) -> RequestContext:
        """Return the context of a user, or of a session without a user (None).

        While Postgres is away, a user that this worker never read is treated as one without events: the
        worker cannot know whether the user exists.

        Raises:
            UnknownIdError: the user does not exist.
        """
        began_at_s = time.monotonic()
        try:
            ranking = load_ranking_context(self._database, user_id)
        except UnknownIdError:
            self._stale_contexts.forget(user_id)
            raise
        except UnavailableError:
            stale = self._stale_contexts.find(user_id)
            if stale is not None:
                return RequestContext(stale.context, is_stale=True, read_at_s=stale.read_at_s)
            session = self._stale_contexts.find(None)
            rules = session.context.rules if session else []
            return RequestContext(replace(_NO_CONTEXT, rules=rules), is_stale=True)
        self._stale_contexts.put(user_id, ranking, began_at_s)
        snapshot = self._movie_cache.at(ranking.movies) if ranking.movies else None
        return RequestContext(ranking, snapshot, read_at_s=time.monotonic())

    def find_movies(
        self, context: RequestContext, movie_ids: Sequence[int], model: Model
    ) -> tuple[dict[int, Row], RequestContext]:
        """Return the movies that exist, by movie_id: as of the context's time or later.

        Without Postgres, they are those that the model knows, as of its training.

        Returns:
            The movies, and the context to continue with: it is stale if Postgres has gone away.
        """
        if not context.is_stale:
            try:
                if context.movies is not None:
                    return context.movies.find(self._database, movie_ids), context
                return find_movies(self._database, movie_ids), context
            except UnavailableError:
                context = replace(context, is_stale=True)
        return _movies_of_model(movie_ids, model), context

    def having(self, filters: Sequence[AttributeFilter], model: Model | None) -> NDArray[np.bool_] | None:
        """Return bool[I]: the movies of the model whose attributes pass every filter.

        Returns:
            None without filters or without a model.

        Raises:
            UnavailableError: Postgres is away, and the model does not know attributes.
            UnknownAttributeError: no movie has an attribute, or its value.
        """
        if not filters:
            return None
        found = find_movies_with(self._database, filters)
        if not found.size:
            attributes.require_known(self._database, filters)
        if model is None:
            return None
        passing = np.zeros(model.size, dtype=np.bool_)
        positions = model.positions(found)
        passing[positions[positions >= 0]] = True
        return passing


def _movies_of_model(movie_ids: Sequence[int], model: Model) -> dict[int, Row]:
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
