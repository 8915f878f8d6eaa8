"""Our fits and Spark's on the same ratings: time, and what they are worth on ratings held out."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from scipy.sparse import csr_matrix

from benchkit.data import Ratings
from benchkit.lake import weights_of
from benchkit.models import fit_model, interactions
from benchkit.processes import worker
from benchkit.timing import in_turn
from dataflix_recommender import Model, metrics
from dataflix_recommender.batch import rank_rows, recommend_many

HELD_OUT = 0.2
K = 10
EVALUATED_USERS = 2_000


def missing(python: Path) -> str:
    """Return what Spark lacks here; empty when it can run."""
    if shutil.which("java") is None:
        return "there is no java"
    probe = subprocess.run([str(python), "-c", "import pyspark, numpy"], capture_output=True, check=False)
    return (
        ""
        if probe.returncode == 0
        else f"{python} has no pyspark with numpy; --spark-python names one that has"
    )


class Race:
    """Fits of the same four fifths of some ratings.

    ``ours`` is the library's bare ALS, with Spark's settings; ``served`` is the trainer's fit, with users
    weighed by their activity and links between films, ranked as it is served.
    """

    def __init__(
        self, ratings: Ratings, folder: Path, python: Path, *, factors: int, iterations: int, seed: int
    ) -> None:
        held_out = np.random.default_rng(seed).random(len(ratings)) < HELD_OUT
        self._train = ratings.taken(np.flatnonzero(~held_out))
        self._test = ratings.taken(np.flatnonzero(held_out))
        self._folder = folder
        self._python = python
        self._size = (factors, iterations)
        self._seed = seed
        self._told: dict[str, Any] = {}
        self._file = self._train.save(folder / "train.npz")
        weights = weights_of(self._train)
        columns = {"user": self._train.users - 1, "film": self._train.films - 1}
        table = pa.table(
            {name: column.astype(np.int32) for name, column in columns.items()} | {"weight": weights}
        )
        parquet.write_table(table, folder / "train.parquet")

    def run(self, runs: int) -> dict[str, list[float]]:
        """Return the seconds of ours, of those that are served, and of Spark's."""
        return in_turn(
            {"ours": self._ours, "served": self._served, "spark": self._spark}, runs, warm_up=False
        )

    def qualities(self) -> dict[str, float]:
        """Return NDCG@10 of each on the ratings held out."""
        known = interactions(self._train)
        users = np.unique(self._test.users)
        users = users[np.isin(users, known.user_ids)][:EVALUATED_USERS]
        seen = known.matrix[np.searchsorted(known.user_ids, users)]
        ranked = {"served": recommend_many(self._model, seen, K)[0]}
        for name in ("ours", "spark"):
            factors = dict(np.load(self._folder / f"{name}.npz"))
            ranked[name] = self._ranked(factors, users, known.user_ids, seen)
        return {name: self._ndcg(lists, users) for name, lists in ranked.items()}

    def _ours(self) -> float:
        words = (self._file, self._folder / "ours.npz", *self._size, 2, self._seed)
        self._told = worker("als_fit", *words, environ={}).told
        return float(self._told["seconds"])

    def _served(self) -> float:
        factors, iterations = self._size
        begun = time.perf_counter()
        self._model: Model = fit_model(self._train, factors, seed=self._seed, iterations=iterations)
        return time.perf_counter() - begun

    def _spark(self) -> float:
        if not self._told:
            self._ours()
        per_user = len(self._train) / self._train.n_users
        words = (self._told["alpha"], self._told["ridge"] / per_user, self._seed)
        files = (self._folder / "train.parquet", self._folder / "spark.npz")
        environ = {"PYSPARK_PYTHON": str(self._python), "SPARK_LOCAL_IP": "127.0.0.1"}
        ended = worker("spark_als", *files, *self._size, *words, environ=environ, python=self._python)
        return float(ended.told["seconds"])

    def _ranked(
        self,
        factors: Mapping[str, NDArray[np.float32]],
        users: NDArray[np.int64],
        ids: NDArray[np.int64],
        seen: csr_matrix,
    ) -> NDArray[np.int64]:
        """Return the top K int64[U, K] of ``users``; ``ids`` are all those that the factors are of."""
        # Ours are in the order of the users that occur, Spark's by id.
        by_id = len(factors["users"]) != len(ids)
        vectors = factors["users"][users - 1 if by_id else np.searchsorted(ids, users)]
        films = np.zeros((self._train.n_films, self._size[0]), dtype=np.float32)
        films[: len(factors["films"])] = factors["films"]
        return rank_rows(vectors @ films.T, seen, K)[0]

    def _ndcg(self, ranked: NDArray[np.int64], users: NDArray[np.int64]) -> float:
        """Return the mean over users."""
        place = np.searchsorted(users, self._test.users)
        place[place == len(users)] = 0
        chosen = users[place] == self._test.users
        pairs = (place[chosen], self._test.films[chosen] - 1)
        targets = csr_matrix((np.ones(int(chosen.sum())), pairs), shape=(len(users), self._train.n_films))
        hits = metrics.hits_in(ranked, targets)
        return float(metrics.ndcg_at_k(hits, metrics.relevant_in(targets), K).mean())
