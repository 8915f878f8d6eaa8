"""The sample as CSV files, one for each of the four tables."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataflix_common.files import replacing
from dataflix_loader.database.staging import Field
from dataflix_loader.errors import LoadError
from dataflix_loader.sample.catalogue import Movie, read_catalogue
from dataflix_loader.sample.events import Events, draw_events
from dataflix_loader.sample.preferences import draw_preferences
from dataflix_loader.synthetic_users import COLUMNS as USER_COLUMNS
from dataflix_loader.synthetic_users import SyntheticUsers

DEFAULT_USERS = 1200
DEFAULT_SEED = 42
EMAIL_DOMAIN = "sample.example.org"
TABLES = ("users", "movies", "ratings", "watched_movies")

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


class FileExistsAlreadyError(LoadError):
    """A file of the sample would replace another file."""


def write_sample(
    folder: Path, *, n_users: int = DEFAULT_USERS, seed: int = DEFAULT_SEED, replace: bool = False
) -> dict[str, int]:
    """Draw the sample and write users.csv, movies.csv, ratings.csv and watched_movies.csv into `folder`.

    The same arguments give the same bytes. All files are written before the first takes its place.

    Args:
        folder: where to write; created if it does not exist.
        n_users: number of users.
        seed: of the random numbers.
        replace: replace files that exist. Data sets of others have files of the same names.

    Returns:
        The number of rows of each table.

    Raises:
        FileExistsAlreadyError: a file exists, and `replace` is false, or a folder is in its place; nothing
            was written.
        OSError: the folder or a file can't be written.
    """
    paths = {table: folder / f"{table}.csv" for table in TABLES}
    # A link is somebody's file, too, wherever it leads.
    found = [str(path) for path in paths.values() if os.path.lexists(path)]
    if found and not replace:
        raise FileExistsAlreadyError(
            f"There already: {', '.join(found)}. Nothing was written. Name another folder, or add --replace."
        )
    for path in paths.values():
        if path.is_dir() and not path.is_symlink():
            raise FileExistsAlreadyError(f"{path} is a folder. Nothing was written. Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    movies = read_catalogue()
    events = draw_events(movies, draw_preferences(movies, n_users, rng), rng)
    users = SyntheticUsers(EMAIL_DOMAIN).rows(range(1, n_users + 1), events.joined.tolist())
    rows: dict[str, tuple[Sequence[str], Iterable[Sequence[Field]]]] = {
        "users": (USER_COLUMNS, users),
        "movies": (MOVIE_COLUMNS, map(_movie_row, movies)),
        "ratings": (RATING_COLUMNS, _rating_rows(movies, events)),
        "watched_movies": (WATCHED_COLUMNS, _watched_rows(movies, events)),
    }
    with ExitStack() as stack:
        return {
            table: _write(stack.enter_context(replacing(paths[table], mode=None)), *rows[table])
            for table in TABLES
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


def _write(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Field]]) -> int:
    file = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    # The stream is closed where it was opened.
    file.detach()
    return count
