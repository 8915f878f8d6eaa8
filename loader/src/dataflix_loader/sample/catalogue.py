"""The movies of the sample: real titles, years, directors, genres and running times, from `catalogue.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

CATALOGUE_FILE = Path(__file__).with_name("catalogue.csv")


@dataclass(frozen=True)
class Movie:
    """One movie.

    Attributes:
        duration_minutes: running time of the version first shown, in minutes.
        familiarity: how many users of the sample know it, from 1 (few) to 5 (nearly all). Invented by us.
    """

    movie_id: int
    title: str
    release_year: int
    director: str
    genres: tuple[str, ...]
    duration_minutes: int
    familiarity: int
    description: str


def read_catalogue(path: Path = CATALOGUE_FILE) -> list[Movie]:
    """Return the movies, ordered by id."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Movie(
                movie_id=int(row["movie_id"]),
                title=row["title"],
                release_year=int(row["release_year"]),
                director=row["director"],
                genres=tuple(row["genres"].split("|")),
                duration_minutes=int(row["duration_minutes"]),
                familiarity=int(row["familiarity"]),
                description=row["description"],
            )
            for row in csv.DictReader(file)
        ]
