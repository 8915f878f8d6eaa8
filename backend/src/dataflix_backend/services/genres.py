"""Refuses genres that no movie has, and names those that are spelt alike."""

import difflib
import re
from collections.abc import Iterable, Sequence

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnavailableError, UnknownGenreError
from dataflix_backend.queries.movies import list_genres
from dataflix_recommender import Model

MAX_NEAREST = 3
# Below this share of common letters, what is offered has nothing to do with what was typed.
MIN_LIKENESS = 0.5


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


def nearest(genre: str, known: Iterable[str]) -> list[str]:
    """Return the genres that are spelt most alike, ignoring case and punctuation, the nearest first."""
    by_letters = {_letters(name): name for name in known}
    # Half a word counts, too: "docu", "science".
    begun = [
        name
        for letters, name in by_letters.items()
        if _letters(genre) and letters.startswith(_letters(genre))
    ]
    alike = difflib.get_close_matches(_letters(genre), by_letters, n=MAX_NEAREST, cutoff=MIN_LIKENESS)
    return list(dict.fromkeys([*begun, *(by_letters[letters] for letters in alike)]))[:MAX_NEAREST]


def _unknown(genres: Iterable[str], known: Iterable[str]) -> list[str]:
    lower = {name.lower() for name in known}
    return [genre for genre in genres if genre.lower() not in lower]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
