"""The films of the sample: true titles, years, directors, genres and running times, from `catalogue.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

CATALOGUE_FILE = Path(__file__).with_name("catalogue.csv")


@dataclass(frozen=True)
class Film:
    """One film.

    Attributes:
        duration_minutes: running time of the version first shown.
        familiarity: how many people of the sample know it, from 1 (few) to 5 (nearly all); ours, no fact.
    """

    movie_id: int
    title: str
    release_year: int
    director: str
    genres: tuple[str, ...]
    duration_minutes: int
    familiarity: int
    description: str


def read_catalogue(path: Path = CATALOGUE_FILE) -> list[Film]:
    """Return the films in order of their ids."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Film(
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
