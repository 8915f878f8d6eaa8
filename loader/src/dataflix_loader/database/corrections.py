"""Tells a newer edition, with corrected titles, from another catalogue under the same ids."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812  psycopg2's own name is lower case

from dataflix_loader.errors import ConflictError

# Editions of MovieLens correct the year of a first showing by this much; sequels are further apart.
_MAX_YEARS_APART = 3

# Above it, two titles are spellings of one ("Seven" and "Se7en" have 0.8). The nearest titles of different
# movies of about the same year stay below it.
_MIN_SIMILARITY = 0.6

_ARTICLES = frozenset({"a", "an", "the", "la", "le", "les", "il", "el", "los", "der", "die", "das", "de"})

_DIFFERENT = """
SELECT
    staged.movie_id, known.title AS known_title, known.release_year AS known_year,
    staged.title AS staged_title, staged.release_year AS staged_year,
    coalesce(known.imdb_id = staged.imdb_id OR known.tmdb_id = staged.tmdb_id, FALSE) AS has_same_link
FROM movies AS known JOIN stage_movies AS staged USING (movie_id)
WHERE known.title <> staged.title OR known.release_year <> staged.release_year
ORDER BY staged.movie_id
"""


@dataclass(frozen=True)
class Corrections:
    """How many movies of the database have another title, or another year, in the data."""

    titles: int
    years: int


class _Difference(NamedTuple):
    movie_id: int
    known_title: str
    known_year: int | None
    staged_title: str
    staged_year: int | None
    has_same_link: bool

    @property
    def is_same_movie(self) -> bool:
        if self.has_same_link:
            return True
        known, staged = _words(self.known_title), _words(self.staged_title)
        if not known or not staged:
            return False
        if known == staged:
            return True
        if (
            self.known_year
            and self.staged_year
            and abs(self.known_year - self.staged_year) > _MAX_YEARS_APART
        ):
            return False
        smaller, larger = sorted((set(known) - _ARTICLES, set(staged) - _ARTICLES), key=len)
        if smaller and smaller <= larger:
            return True
        return SequenceMatcher(None, " ".join(known), " ".join(staged)).ratio() >= _MIN_SIMILARITY


def find_corrections(cursor: Cursor, *, accept_other_titles: bool) -> Corrections:
    """Compare the staged movies with those of the database that have the same ids.

    Args:
        accept_other_titles: take titles over even if they do not look like those of the same movies.

    Raises:
        ConflictError: the database holds other movies under the same ids.
    """
    cursor.execute(_DIFFERENT)
    differences = [_Difference(*row) for row in cursor]
    if not accept_other_titles:
        _reject_other_movies([found for found in differences if not found.is_same_movie])
    return Corrections(
        titles=sum(found.known_title != found.staged_title for found in differences),
        years=sum(
            found.staged_year is not None and found.known_year != found.staged_year for found in differences
        ),
    )


def _reject_other_movies(others: list[_Difference]) -> None:
    if not others:
        return
    first = others[0]
    more = f", and {len(others) - 1:,} more movies differ like this" if len(others) > 1 else ""
    raise ConflictError(
        f"The database holds another catalogue: movie {first.movie_id} is "
        f"{first.known_title!r} there{_of_year(first.known_year)} and {first.staged_title!r} in the "
        f"data{_of_year(first.staged_year)}{more}. Load into an empty database (./stop.sh --purge empties "
        "the local one). If the movies are the same and only their titles were corrected, add "
        "--accept-other-titles."
    )


def _of_year(year: int | None) -> str:
    return f" (of {year})" if year else ""


def _words(title: str) -> list[str]:
    """Return the words of a title without case, accents, width and punctuation."""
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return re.findall(r"\w+", plain)
