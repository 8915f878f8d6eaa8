"""Why a film is recommended, in words and in numbers that add up to its score."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

ReasonKind = Literal[
    "because_you_rated", "because_you_watched", "different", "popular", "trending", "unrated"
]

# Films whose share is given; the words name the first two, so that a reason stays one line.
MAX_BECAUSE = 3
MAX_NAMED = 2


# A list is explained by forty of these, and a frozen dataclass takes several times as long to make.
class Because(NamedTuple):
    """One film of the user's history and how much it adds to the score; ``rating`` None = only watched."""

    movie_id: int
    title: str
    rating: float | None
    contribution: float


class Reason(NamedTuple):
    """Why one film is recommended.

    ``because`` holds the films of the history that add most; ``other`` is what all remaining ones add
    together, so that the contributions and ``other`` sum to the score. Both are empty for a reason that does
    not come from the user's history.
    """

    kind: ReasonKind
    text: str
    because: tuple[Because, ...] = ()
    other: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return self._asdict() | {"because": [item._asdict() for item in self.because]}


def history_reason(because: Sequence[Because], other: float) -> Reason:
    """Put into words which films of a history add most to a score; ``because`` is ordered, highest first."""
    if not because:
        return Reason("different", "Something different from what you have rated so far", (), other)
    named = because[:MAX_NAMED]
    rated = [f"{item.title} {item.rating:g}★" for item in named if item.rating is not None]
    watched = [item.title for item in named if item.rating is None]
    phrases = []
    if rated:
        phrases.append("rated " + " and ".join(rated))
    if watched:
        phrases.append("watched " + " and ".join(watched))
    kind: ReasonKind = "because_you_rated" if rated else "because_you_watched"
    return Reason(kind, "Because you " + " and ".join(phrases), tuple(because), other)


def popularity_reason(*, trending: bool, ratings_count: int, mean_rating: float | None) -> Reason:
    """Put into words why a film is shown to somebody whose taste is not known yet."""
    if mean_rating is None:
        return (
            Reason("trending", "Trending: watched lately") if trending else Reason("unrated", "Not rated yet")
        )
    ratings = f"{ratings_count} rating{'' if ratings_count == 1 else 's'}"
    measured = f"{mean_rating:.1f} on average from {ratings}"
    return (
        Reason("trending", f"Trending: {measured}") if trending else Reason("popular", f"Popular: {measured}")
    )
