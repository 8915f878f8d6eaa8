"""A small warehouse with the difficult cases: late versions, deletions, events without a user or movie."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from . import raw
from .expected import Done, Key, Rating, Source
from .warehouse import RAW_TABLES, Warehouse

START = datetime(2023, 1, 1, tzinfo=UTC)
SPAN_US = 400 * 86400 * 10**6
# Events whose user or movie is not loaded.
HELD_BACK: list[Key] = [(900, 1), (1, 9000)]
DELETED_USERS, DELETED_MOVIES = (50, 51), (60,)
# Two lists of version 7, one of them with a hit, and one list without a model; by list, movie and event.
FEEDBACK: dict[tuple[str, int, str], dict[str, Any]] = {
    ("a", 1, "shown"): {"user_id": 1},
    ("a", 1, "clicked"): {"user_id": 1},
    ("a", 2, "shown"): {"user_id": 1, "position": 2},
    ("b", 1, "shown"): {},
    ("b", 2, "shown"): {"position": 2},
    ("c", 1, "shown"): {"model_version": ""},
}
# Kinds of events in another application; the last one is an opinion.
KINDS: dict[str, float | None] = {"viewed": 0.25, "rented": 1.5, "returned": -1.5, "rated": None}
GENRES = ("Drama", "Comedy", "Horror", "War")


def load(warehouse: Warehouse) -> Source:
    """Fill raw with three loads: rows, newer versions, deletions. ClickHouse does not merge them."""
    for table in RAW_TABLES:
        warehouse.command(f"SYSTEM STOP MERGES raw.{table}")
    dice = random.Random(20240229)  # a fixed seed gives the same warehouse every time
    users = {u: raw.user(u, state=dice.choice(["CA", "NY", None])) for u in range(1, 41)}
    movies = {m: raw.movie(m, genres=dice.sample(GENRES, k=dice.randint(0, 3))) for m in range(1, 26)}
    # Users 39 and 40 and movies 24 and 25 have no ratings and views; movie 25 has nothing.
    pairs = [(u, m) for u in users for m in movies if u <= 38 and m <= 23]
    ratings = {key: _rating(dice) for key in [*dice.sample(pairs, k=400), *HELD_BACK]}
    watched = {key: _moment(dice) for key in [*dice.sample(pairs, k=400), *HELD_BACK]}

    warehouse.insert("users", [*users.values(), *map(raw.user, DELETED_USERS)])
    warehouse.insert("movies", [*movies.values(), *map(raw.movie, DELETED_MOVIES)])
    warehouse.insert("ratings", [rating_row(key, rating) for key, rating in ratings.items()])
    warehouse.insert("watched_movies", [raw.watch(*key, watched_at=at) for key, at in watched.items()])

    shown = [raw.feedback(*key, **columns) for key, columns in FEEDBACK.items()]
    held_back = [raw.feedback("d", 9000, "shown"), raw.feedback("e", 1, "shown", user_id=900)]
    warehouse.insert("feedback", [*shown, *held_back, raw.feedback("f", 1, "shown")])
    warehouse.insert("feedback", [raw.feedback("f", 1, "shown", _version=3, _is_deleted=1)])

    changed = dice.sample(sorted(ratings), k=60)
    ratings |= {key: _rating(dice) for key in changed}
    warehouse.insert("ratings", [rating_row(key, ratings[key], _version=2) for key in changed])
    # An older version that arrives late must not win.
    warehouse.insert("ratings", [raw.rating(*key, 0.5, _version=1) for key in changed[:20]])

    deleted = {"_version": 3, "_is_deleted": 1}
    unrated = dice.sample([key for key in sorted(ratings) if key not in HELD_BACK], k=40)
    warehouse.insert("ratings", [rating_row(key, ratings.pop(key), **deleted) for key in unrated])
    unwatched = dice.sample([key for key in sorted(watched) if key not in HELD_BACK], k=40)
    rows = [raw.watch(*key, watched_at=watched.pop(key), **deleted) for key in unwatched]
    warehouse.insert("watched_movies", rows)
    warehouse.insert("users", [raw.user(user_id, **deleted) for user_id in DELETED_USERS])
    warehouse.insert("movies", [raw.movie(movie_id, **deleted) for movie_id in DELETED_MOVIES])
    # Users below 20 have none: their weights are what ratings and views make of them.
    done = {key: _done(dice) for key in [*dice.sample([p for p in pairs if p[0] >= 20], k=150), *HELD_BACK]}
    # What speaks for a movie and against it cancels out, in a pair that has nothing else.
    done[38, 24] = Done({"rented": 1, "returned": 1}, START)
    warehouse.insert("event_kinds", [raw.event_kind(*kind) for kind in [*KINDS.items(), ("gone", 9.0)]])
    warehouse.insert("event_kinds", [raw.event_kind("gone", 9.0, **deleted)])
    rows = [
        raw.interaction(*key, kind, events_count=count, last_at=event.last_at)
        for key, event in done.items()
        for kind, count in event.counts.items()
    ]
    warehouse.insert("interactions", [*rows, raw.interaction(1, 1, "viewed")])
    warehouse.insert("interactions", [raw.interaction(1, 1, "viewed", **deleted)])
    genres = {m: row["genres"] for m, row in movies.items()}
    return Source(set(users), genres, watched, ratings, done, KINDS)


def rating_row(key: Key, rating: Rating, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.ratings."""
    return raw.rating(*key, rating.stars, liked=rating.liked, rated_at=rating.rated_at, **columns)


def _moment(dice: random.Random) -> datetime:
    return START + timedelta(microseconds=dice.randrange(SPAN_US))


def _rating(dice: random.Random) -> Rating:
    return Rating(dice.randint(1, 10) / 2, dice.choice([None, None, True, False]), _moment(dice))


def _done(dice: random.Random) -> Done:
    kinds = dice.sample(sorted(KINDS), k=dice.randint(1, len(KINDS)))
    return Done({kind: dice.choice([1, 2, 3, 40]) for kind in kinds}, _moment(dice))
