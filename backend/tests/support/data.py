"""A small catalogue in Postgres, with users who each love one genre."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg2
from psycopg2.extras import execute_values

GENRES = ("Action", "Comedy", "Drama", "Horror", "Sci-Fi")
MOVIES_PER_GENRE = 12
USERS = 30


@dataclass(frozen=True)
class Catalogue:
    """What was written: titles and genres by movie_id, and the users' ids; user i loves genre i modulo 5."""

    titles: dict[int, str]
    genres: dict[int, list[str]]
    users: list[int]

    def movies_of(self, genre: str) -> list[int]:
        return [movie_id for movie_id, genres in self.genres.items() if genres[0] == genre]


def connect(dsn: str) -> Any:
    """Return an autocommit connection."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


def seed(dsn: str) -> Catalogue:
    """Write movies, users, ratings and views."""
    rng = np.random.default_rng(7)
    connection = connect(dsn)
    with connection, connection.cursor() as cursor:
        movies = [
            (
                f"{genre} Movie {number:02}",
                [genre] if number % 3 else [genre, GENRES[(index + 1) % len(GENRES)]],
                1960 + number,
            )
            for index, genre in enumerate(GENRES)
            for number in range(MOVIES_PER_GENRE)
        ]
        movies += [
            ("100% Wolf_Man", ["Horror"], 1999),
            ("Amélie", ["Comedy"], 2001),
            ("The Matrix", ["Sci-Fi"], 1999),
            ("The Matrix Reloaded", ["Sci-Fi"], 2003),
        ]
        movie_ids = execute_values(
            cursor,
            "INSERT INTO movies (title, genres, release_year) VALUES %s RETURNING movie_id",
            movies,
            fetch=True,
            page_size=1000,
        )
        ids = [row[0] for row in movie_ids]
        catalogue = Catalogue(
            {movie_id: movie[0] for movie_id, movie in zip(ids, movies, strict=True)},
            {movie_id: movie[1] for movie_id, movie in zip(ids, movies, strict=True)},
            [
                row[0]
                for row in execute_values(
                    cursor,
                    "INSERT INTO users (username, email) VALUES %s RETURNING user_id",
                    [(f"viewer{number}", f"viewer{number}@example.org") for number in range(USERS)],
                    fetch=True,
                    page_size=1000,
                )
            ],
        )
        ratings = []
        for index, user_id in enumerate(catalogue.users):
            loved = catalogue.movies_of(GENRES[index % len(GENRES)])
            for movie_id in rng.choice(loved, 6, replace=False):
                ratings.append((user_id, int(movie_id), 4.5, f"2026-0{1 + index % 6}-10T12:00:00Z"))
            for movie_id in rng.choice(ids, 4, replace=False):
                ratings.append((user_id, int(movie_id), 2.0, f"2026-0{1 + index % 6}-11T12:00:00Z"))
        execute_values(
            cursor,
            "INSERT INTO ratings (user_id, movie_id, rating, rated_at) VALUES %s ON CONFLICT DO NOTHING",
            ratings,
        )
    connection.close()
    return catalogue
