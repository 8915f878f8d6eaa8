"""Content of the marts, computed from the current source rows without any of the project's SQL."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

import numpy as np

# Vars and the formula of a weight stand here a second time on purpose: the tests compare the SQL with them.
PRIOR_STRENGTH = 10
HALF_LIFE_SECONDS = 30 * 86400
MIDDLE_OF_SCALE = 2.75

Key = tuple[int, int]


@dataclass(frozen=True)
class Rating:
    """A current rating."""

    stars: float
    liked: bool | None
    rated_at: datetime


@dataclass(frozen=True)
class Done:
    """What a user did with a movie in another application: events by kind, and when the last was."""

    counts: dict[str, int]
    last_at: datetime


@dataclass(frozen=True)
class Source:
    """The current rows of the source."""

    users: set[int]
    genres: dict[int, list[str]]
    watched: dict[Key, datetime]
    ratings: dict[Key, Rating]
    done: dict[Key, Done]
    kinds: dict[str, float | None]

    def known(self, key: Key) -> bool:
        """Return whether both the user and the movie of an event are loaded."""
        return key[0] in self.users and key[1] in self.genres

    def known_ratings(self) -> dict[Key, Rating]:
        """Return the ratings whose user and movie are loaded."""
        return {key: rating for key, rating in self.ratings.items() if self.known(key)}

    def known_watches(self) -> dict[Key, datetime]:
        """Return the views whose user and movie are loaded."""
        return {key: at for key, at in self.watched.items() if self.known(key)}

    def known_done(self) -> dict[Key, Done]:
        """Return the events in another application that weigh and whose user and movie are loaded."""
        weighed = {kind for kind, weight in self.kinds.items() if weight is not None}
        return {
            key: done for key, done in self.done.items() if self.known(key) and weighed & done.counts.keys()
        }

    def last_events(self) -> dict[Key, datetime]:
        """Return the latest of rating, view and other events for each loaded pair."""
        events = dict(self.known_watches())
        for key, done in self.known_done().items():
            events[key] = max(events.get(key, done.last_at), done.last_at)
        for key, rating in self.known_ratings().items():
            events[key] = max(events.get(key, rating.rated_at), rating.rated_at)
        return events


def weight(rating: Rating | None) -> float:
    """Return the confidence weight of a rating; None means that the movie was only watched."""
    if rating is None:
        return 0.5
    if rating.stars >= 3:
        base = 1 + (rating.stars - 3)
    elif rating.stars == 2.5:
        base = 0.25
    else:
        base = -(2.5 - rating.stars)
    if rating.liked is None:
        return base
    return max(base, 0) + 1 if rating.liked else min(base, 0) - 0.5


def pair_weight(rating: Rating | None, done: Done | None, kinds: dict[str, float | None]) -> float:
    """Return the weight of an entry of the matrix."""
    opinion = weight(rating)
    if done is None:
        return opinion
    parts = [(kinds[kind] or 0.0, count) for kind, count in done.counts.items() if kinds[kind] is not None]
    total = sum(part * math.log2(1 + count) for part, count in parts)
    if abs(total) < 1e-6:
        total = min(part for part, _ in parts)
    if rating is None:
        return total
    return opinion if opinion < 0 else max(opinion, total)


def matrix(source: Source) -> dict[Key, tuple[float, datetime]]:
    """Return weight and last event of each entry of the matrix."""
    ratings, done = source.known_ratings(), source.known_done()
    return {
        key: (pair_weight(ratings.get(key), done.get(key), source.kinds), at)
        for key, at in source.last_events().items()
    }


@dataclass(frozen=True)
class MovieRatings:
    """One movie's row of ratings_aggregated."""

    ratings_count: int
    watches_count: int
    events_count: int
    mean_rating: float | None
    bayesian_mean: float


def movie_ratings(source: Source) -> dict[int, MovieRatings]:
    """Return the aggregates of every movie, rated or not."""
    stars: dict[int, list[float]] = defaultdict(list)
    for (_, movie_id), rating in source.known_ratings().items():
        stars[movie_id].append(rating.stars)
    watches = Counter(movie_id for _, movie_id in source.known_watches())
    events = Counter(movie_id for _, movie_id in source.last_events())
    everything = [star for movie_stars in stars.values() for star in movie_stars]
    overall = float(np.mean(everything)) if everything else MIDDLE_OF_SCALE
    rows = {}
    for movie_id in source.genres:
        own = np.asarray(stars[movie_id], dtype=np.float64)
        rows[movie_id] = MovieRatings(
            ratings_count=own.size,
            watches_count=watches[movie_id],
            events_count=events[movie_id],
            mean_rating=float(own.mean()) if own.size else None,
            bayesian_mean=float((PRIOR_STRENGTH * overall + own.sum()) / (PRIOR_STRENGTH + own.size)),
        )
    return rows


def trending(source: Source, now: datetime) -> dict[int, float]:
    """Return the time-decayed score of every movie that has an event that speaks for it."""
    events = source.last_events()
    newest = max((at for at in events.values() if at <= now), default=now)
    scores: dict[int, float] = defaultdict(float)
    for (_, movie_id), (value, at) in matrix(source).items():
        if value <= 0:
            continue
        # The SQL computes the decay from whole seconds.
        age = max(math.floor(newest.timestamp()) - math.floor(at.timestamp()), 0)
        scores[movie_id] += 0.5 ** (age / HALF_LIFE_SECONDS)
    return dict(scores)


@dataclass(frozen=True)
class Genre:
    """One genre's row of genre_popularity."""

    movies_count: int
    events_count: int
    mean_rating: float | None
    popularity_share: float


def genres(source: Source) -> dict[str, Genre]:
    """Return the totals of each genre; a movie counts for each of its genres."""
    movies: dict[str, set[int]] = defaultdict(set)
    for movie_id, names in source.genres.items():
        for name in names or ["Unclassified"]:
            movies[name].add(movie_id)
    seen = [movie_id for _, movie_id in source.last_events()]
    events = {name: sum(movie_id in ids for movie_id in seen) for name, ids in movies.items()}
    rows = {}
    for name, ids in movies.items():
        stars = [rating.stars for (_, movie_id), rating in source.known_ratings().items() if movie_id in ids]
        rows[name] = Genre(
            movies_count=len(ids),
            events_count=events[name],
            mean_rating=float(np.mean(stars)) if stars else None,
            popularity_share=events[name] / sum(events.values()) if sum(events.values()) else 0.0,
        )
    return rows
