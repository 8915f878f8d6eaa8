"""The sample as CSV files, one for each of the four tables."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dataflix_loader.database.staging import Field
from dataflix_loader.sample.catalogue import Movie, read_catalogue
from dataflix_loader.sample.events import Events, draw_events
from dataflix_loader.sample.preferences import draw_preferences
from dataflix_loader.synthetic_users import COLUMNS as USER_COLUMNS
from dataflix_loader.synthetic_users import SyntheticUsers

DEFAULT_USERS = 1200
DEFAULT_SEED = 42
EMAIL_DOMAIN = "sample.example.org"

MOVIE_COLUMNS = (
    "movie_id",
    "title",
    "genres",
    "release_year",
    "director",
    "duration_minutes",
    "description",
)
RATING_COLUMNS = ("user_id", "movie_id", "rating", "rated_epoch", "liked")
WATCHED_COLUMNS = ("user_id", "movie_id", "watched_epoch")


def write_sample(folder: Path, *, n_users: int = DEFAULT_USERS, seed: int = DEFAULT_SEED) -> dict[str, int]:
    """Draw the sample and write users.csv, movies.csv, ratings.csv and watched_movies.csv into `folder`.

    The same arguments give the same bytes.

    Returns:
        The number of rows of each table.
    """
    rng = np.random.default_rng(seed)
    movies = read_catalogue()
    events = draw_events(movies, draw_preferences(movies, n_users, rng), rng)
    users = SyntheticUsers(EMAIL_DOMAIN).rows(range(1, n_users + 1), events.joined.tolist())
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "users": _write(folder / "users.csv", USER_COLUMNS, users),
        "movies": _write(folder / "movies.csv", MOVIE_COLUMNS, map(_movie_row, movies)),
        "ratings": _write(folder / "ratings.csv", RATING_COLUMNS, _rating_rows(movies, events)),
        "watched_movies": _write(
            folder / "watched_movies.csv", WATCHED_COLUMNS, _watched_rows(movies, events)
        ),
    }


def _movie_row(movie: Movie) -> tuple[Field, ...]:
    return (
        movie.movie_id,
        movie.title,
        "|".join(movie.genres),
        movie.release_year,
        movie.director,
        movie.duration_minutes,
        movie.description,
    )


def _rating_rows(movies: Sequence[Movie], events: Events) -> Iterator[tuple[Field, ...]]:
    thumbs = {1: "true", 0: "false", -1: None}
    for user, movie, epoch, half_stars, liked in zip(
        *(
            values.tolist()
            for values in (events.user, events.movie, events.epoch, events.half_stars, events.liked)
        ),
        strict=True,
    ):
        if half_stars:
            yield user + 1, movies[movie].movie_id, half_stars / 2, epoch, thumbs[liked]


def _watched_rows(movies: Sequence[Movie], events: Events) -> Iterator[tuple[Field, ...]]:
    for user, movie, epoch in zip(
        *(values.tolist() for values in (events.user, events.movie, events.epoch)), strict=True
    ):
        yield user + 1, movies[movie].movie_id, epoch


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Field]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
