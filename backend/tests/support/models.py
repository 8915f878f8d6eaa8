"""Small real models."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from dataflix_backend.services.model.files import ModelEntry, read_current, write_current
from dataflix_recommender import (
    ConfidenceWeights,
    Item,
    ItemCatalogue,
    Model,
    ModelInfo,
    RecentPopularity,
    SourceIdentity,
)

TRAINED_AT = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)


def taste_model(
    genres_by_movie: Mapping[int, list[str]],
    titles: Mapping[int, str],
    seed: int = 0,
    trained_at: datetime = TRAINED_AT,
    *,
    kinds: Mapping[str, float] | None = None,
    source: SourceIdentity | None = None,
    returning_weight: float = 0.0,
) -> Model:
    """Return a model whose factors are the movies' genres and a little noise.

    Movie number ``row`` is of 1960 + row, takes 80 + row minutes and has a mean rating of 2 to 4. The first
    movies were popular when it was trained, which counts little; for users who were away, see
    ``RecentPopularity``.
    """
    movie_ids = sorted(genres_by_movie)
    names = sorted({genre for genres in genres_by_movie.values() for genre in genres})
    rng = np.random.default_rng(seed)
    factors = rng.normal(0, 0.05, (len(movie_ids), len(names))).astype(np.float32)
    for row, movie_id in enumerate(movie_ids):
        for genre in genres_by_movie[movie_id]:
            factors[row, names.index(genre)] += 1
    items = [
        Item(
            item_id=movie_id,
            title=titles[movie_id],
            genres=tuple(genres_by_movie[movie_id]),
            release_year=1960 + row,
            duration_minutes=80 + row,
            ratings_count=5 + row,
            mean_rating=2 + row % 5 / 2,
            bayesian_mean=3 + row / 100,
            trending_score=float(len(movie_ids) - row),
        )
        for row, movie_id in enumerate(movie_ids)
    ]
    info = ModelInfo(
        trained_at=trained_at,
        factors=len(names),
        regularization=0.1,
        alpha=2.0,
        iterations=5,
        seed=seed,
        n_users=30,
        n_items=len(movie_ids),
        n_interactions=300,
        metrics={"ndcg@10": 0.31},
        dataset={"sha256": "0" * 64},
        source=source,
    )
    return Model(
        info,
        np.array(movie_ids, dtype=np.int64),
        factors,
        ItemCatalogue.from_items(items),
        ConfidenceWeights(ConfidenceWeights.default().rows, kinds),
        recent_popularity=RecentPopularity(
            np.linspace(1, 0, len(movie_ids), dtype=np.float32),
            weight=1e-4,
            returning_weight=returning_weight,
            until=int(trained_at.timestamp() * 1e6),
        ),
    )


def publish(models_dir: Path, version: str, model: Model) -> None:
    """Put the model where the workers look, as the synchroniser does."""
    models_dir.mkdir(parents=True, exist_ok=True)
    current = read_current(models_dir)
    folder = f"{version}-test"
    if not (models_dir / folder).exists():
        model.save(models_dir / folder)
    write_current(models_dir, ModelEntry(version, folder), current.entry if current else None)
