"""Why an item is recommended: a sentence, and numbers that add up to the score."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

ReasonKind = Literal[
    "because_you_rated", "because_you_watched", "different", "popular", "trending", "unrated"
]

# Items of the history whose contribution is given. The sentence names the first two, to stay on one line.
MAX_CONTRIBUTIONS = 3
MAX_NAMED = 2


# NamedTuples: a list needs forty of these, and a frozen dataclass takes several times as long to make.
class Contribution(NamedTuple):
    """What one item of the user's history adds to a score.

    Attributes:
        item_id: The item of the history.
        title: Its title.
        rating: The user's rating, None for an item that was only watched.
        value: The part of the score.
    """

    item_id: int
    title: str
    rating: float | None
    value: float


class Reason(NamedTuple):
    """Why one item is recommended.

    The values of ``contributions``, ``remainder`` and ``popularity`` sum to the score. All are empty for a
    reason that does not come from the user's history.

    Attributes:
        kind: The kind of reason.
        text: The reason in words.
        contributions: The items of the history that add most, highest first.
        remainder: What the other items of the history add together.
        popularity: What the item's recent popularity adds.
    """

    kind: ReasonKind
    text: str
    contributions: tuple[Contribution, ...] = ()
    remainder: float = 0.0
    popularity: float = 0.0


# Of an item that nobody has rated, where others have ratings.
TRENDING_UNRATED = "Trending: watched lately"


def history_reason(
    contributions: Sequence[Contribution], remainder: float, popularity: float = 0.0
) -> Reason:
    """Return the reason for an item that is scored from a history.

    Args:
        contributions: The items of the history that add most, highest first.
        remainder: What the other items of the history add together.
        popularity: What the item's recent popularity adds; above all else together, it is the reason.
    """
    history = remainder + sum(contribution.value for contribution in contributions)
    if popularity > max(history, 0):
        return Reason("trending", "Popular lately", tuple(contributions), remainder, popularity)
    if not contributions:
        text = "Something different from what you have rated so far"
        return Reason("different", text, (), remainder, popularity)
    named = contributions[:MAX_NAMED]
    rated = [f"{item.title} {item.rating:g}★" for item in named if item.rating is not None]
    watched = [item.title for item in named if item.rating is None]
    phrases = []
    if rated:
        phrases.append("rated " + " and ".join(rated))
    if watched:
        phrases.append("watched " + " and ".join(watched))
    kind: ReasonKind = "because_you_rated" if rated else "because_you_watched"
    text = "Because you " + " and ".join(phrases)
    return Reason(kind, text, tuple(contributions), remainder, popularity)


def popularity_reason(
    *, trending: bool, ratings_count: int, mean_rating: float | None, users_count: int | None
) -> Reason:
    """Return the reason for an item that is shown to a user whose preferences are not known yet.

    Args:
        trending: Whether it is shown for its recent events above all.
        ratings_count: How many users rated it.
        mean_rating: None while nobody has rated it.
        users_count: How many users did something with it, where nobody rates; None where people rate.
    """
    if users_count:
        counted = f"{users_count:,} {'person' if users_count == 1 else 'people'}"
        return (
            Reason("trending", f"Trending: {counted}, many of them lately")
            if trending
            else Reason("popular", f"Popular: {counted}")
        )
    if mean_rating is None:
        return Reason("trending", TRENDING_UNRATED) if trending else Reason("unrated", "Not rated yet")
    ratings = f"{ratings_count} rating{'' if ratings_count == 1 else 's'}"
    measured = f"{mean_rating:.1f} on average from {ratings}"
    return (
        Reason("trending", f"Trending: {measured}") if trending else Reason("popular", f"Popular: {measured}")
    )
