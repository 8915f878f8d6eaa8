"""Refuses genres that no movie has, and names those that are spelt alike."""

from collections.abc import Iterable, Sequence

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnavailableError, UnknownGenreError
from dataflix_backend.queries.movies import list_genres
from dataflix_backend.services.spelling import nearest
from dataflix_recommender import Model


def require_known(database: Database, genres: Sequence[str], model: Model | None = None) -> None:
    """Check that each genre exists: in the model, where filters look, or in Postgres.

    While Postgres is away, a genre that the model does not know may be a new one, and passes.

    Raises:
        UnknownGenreError: no movie has one of them.
    """
    unknown = _unknown(genres, model.catalogue.genre_names if model else ())
    if not unknown:
        return
    try:
        stored = [row["genre"] for row in list_genres(database)]
    except UnavailableError:
        if model is None:
            raise
        return
    for genre in _unknown(unknown, stored):
        raise UnknownGenreError(genre, nearest(genre, stored))


def _unknown(genres: Iterable[str], known: Iterable[str]) -> list[str]:
    lower = {name.lower() for name in known}
    return [genre for genre in genres if genre.lower() not in lower]
