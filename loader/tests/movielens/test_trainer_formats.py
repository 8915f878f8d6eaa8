"""The trainer's reader of ratings files agrees with the loader's formats, file by file and rating by rating.

The two readers stay separate: the trainer reads more than MovieLens (CSV and Parquet files of any source)
into arrays, and the loader passes checked lines to COPY. This test keeps their knowledge of MovieLens the
same.
"""

from pathlib import Path

import pytest

from dataflix_loader.movielens.dataset import open_dataset
from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.lines import FileStats
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import RejectLog
from dataflix_testkit.movielens import WRITERS
from dataflix_trainer.data.ratings_file import read_ratings


def loader_rows(path: Path) -> tuple[str, str, list[tuple[int, int, float, int]]]:
    """Return the file and the format that the loader finds, and its ratings."""
    with open_dataset(path) as dataset:
        stream = RatingsStream(dataset.format, dataset.ratings, RejectLog(None), FileStats(), lambda _: None)
        lines = b"".join(iter(stream.read, b"")).decode().splitlines()
    fields = [line.split(",") for line in lines]
    rows = [(int(user), int(movie), float(stars), int(seconds)) for user, movie, stars, seconds in fields]
    return dataset.ratings.name, dataset.format.value, rows


@pytest.mark.parametrize("kind", WRITERS)
def test_both_readers_find_the_same_file_and_the_same_ratings(tmp_path: Path, kind: str) -> None:
    name, format_, rows = loader_rows(WRITERS[kind](tmp_path))
    ratings = read_ratings(tmp_path)

    assert (ratings.facts["file"], ratings.facts["layout"]) == (name, format_)
    users, movies = (sorted({row[place] for row in rows}) for place in (0, 1))
    expected = [
        (users.index(user), movies.index(movie), stars, seconds * 1_000_000)
        for user, movie, stars, seconds in rows
    ]
    found = zip(
        ratings.users.tolist(),
        ratings.items.tolist(),
        ratings.stars.tolist(),
        ratings.times.tolist(),
        strict=True,
    )
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("format_", Format)
def test_the_trainer_prefers_the_usual_names(tmp_path: Path, format_: Format) -> None:
    known = file_format(format_, FileKind.RATINGS)
    header = "userId,movieId,rating,timestamp\n" if known.header else ""
    for name in ("another.txt", known.usual_name):
        (tmp_path / name).write_text(header + known.delimiter.join(("1", "2", "3", "4")) + "\n")
    ratings = read_ratings(tmp_path)
    assert (ratings.facts["file"], ratings.facts["layout"]) == (known.usual_name, format_.value)
