"""The model as MLflow serves it: code that MLflow stores next to the artifact and runs on its own.

One input row is one user: ``movie_ids`` and ``ratings`` of the same length, NaN for a movie that was only
watched. One output row is the list of that user. The parameter ``n`` is its length.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from dataflix_recommender import History, Model


class DataflixModel(PythonModel):
    """Loads the artifact and recommends by fold-in."""

    def load_context(self, context: Any) -> None:
        """Open the artifact.

        Raises:
            ArtifactError: it is damaged.
        """
        self._model = Model.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return ``movie_ids`` and ``scores``, best first, for each row."""
        n = int((params or {}).get("n", 10))
        lists = [
            self._model.recommend(self._history(row.movie_ids, row.ratings), n, explain=False)
            for row in model_input.itertuples(index=False)
        ]
        return pd.DataFrame(
            {
                "movie_ids": [[item.item_id for item in items] for items in lists],
                "scores": [[item.score for item in items] for items in lists],
            }
        )

    def _history(self, movie_ids: Any, ratings: Any) -> History:
        weights = self._model.weights.weigh(ratings, np.zeros(len(ratings), dtype=np.int64))
        return History(movie_ids, weights, ratings)


mlflow.models.set_model(DataflixModel())
