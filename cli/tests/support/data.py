"""A few movies, some with titles that are difficult for a terminal or a search."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg2

from dataflix_recommender import ConfidenceWeights, Item, ItemCatalogue, Model, ModelInfo

HOSTILE = "Evil \x1b[31mRed\x9b2J \u202eeltit"

IDS_BELOW = 37

MOVIES: tuple[tuple[str, str, int], ...] = (
    ("The Matrix", "Sci-Fi", 1999),
    ("The Matrix Reloaded", "Sci-Fi", 2003),
    ("Solaris", "Sci-Fi", 1972),
    ("Solaris", "Sci-Fi", 2002),
    ("1917", "Drama", 2019),
    ("Amélie", "Comedy", 2001),
    (HOSTILE, "Horror", 2013),
    *((f"Drama Movie {number:02}", "Drama", 1960 + number) for number in range(15)),
    *((f"Comedy Movie {number:02}", "Comedy", 1960 + number) for number in range(15)),
    # Also the id of the last one before it.
    (str(IDS_BELOW), "Horror", 2020),
)


@dataclass(frozen=True)
class Catalogue:
    """Ids of the movies and the user in the database."""

    movies: dict[tuple[str, int], int]
    neo: int


def seed(dsn: str, models_dir: Path) -> Catalogue:
    """Write movies and a user named neo, and a model that recommends by genre."""
    movies: dict[tuple[str, int], int] = {}
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        for title, genre, year in MOVIES:
            cursor.execute(
                "INSERT INTO movies (title, genres, release_year) VALUES (%s, %s, %s) RETURNING movie_id",
                (title, [genre], year),
            )
            movies[title, year] = _id(cursor.fetchone())
        cursor.execute(
            "INSERT INTO users (username, email) VALUES ('neo', 'neo@example.org') RETURNING user_id"
        )
        neo = _id(cursor.fetchone())
    connection.close()
    _model(movies).save(models_dir / "3")
    current = {"version": "3", "path": "3", "loaded_at": datetime.now(UTC).isoformat()}
    (models_dir / "current.json").write_text(json.dumps(current))
    return Catalogue(movies, neo)


def _id(row: tuple[int, ...] | None) -> int:
    assert row is not None
    return row[0]


def _model(movies: dict[tuple[str, int], int]) -> Model:
    genres = sorted({genre for _, genre, _ in MOVIES})
    rows = sorted((movies[title, year], title, genre, year) for title, genre, year in MOVIES)
    factors = np.zeros((len(rows), len(genres)), dtype=np.float32)
    for position, (_, _, genre, _) in enumerate(rows):
        factors[position, genres.index(genre)] = 1 - position / 100
    items = [
        Item(
            movie_id,
            title,
            (genre,),
            year,
            ratings_count=9,
            mean_rating=4.0,
            bayesian_mean=4.0,
            trending_score=1.0,
        )
        for movie_id, title, genre, year in rows
    ]
    info = ModelInfo(
        trained_at=datetime(2026, 5, 17, tzinfo=UTC),
        factors=len(genres),
        regularization=0.1,
        alpha=2.0,
        iterations=5,
        seed=1,
        n_users=10,
        n_items=len(rows),
        n_interactions=100,
        metrics={"ndcg@10": 0.42},
    )
    movie_ids = np.array([row[0] for row in rows], dtype=np.int64)
    return Model(info, movie_ids, factors, ItemCatalogue.from_items(items), ConfidenceWeights.default())
