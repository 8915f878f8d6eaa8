"""Our fit and Spark's on the same ratings: time, and what the factors are worth on ratings held out."""

import shutil
import subprocess
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
from benchkit.models import interactions
from benchkit.processes import worker
from benchkit.timing import in_turn
from dataflix_recommender import metrics
from dataflix_recommender.batch import rank_rows

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
    """Both fits of the same four fifths of some ratings."""

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
        """Return the seconds of ours and of Spark's fits."""
        return in_turn({"ours": self._ours, "spark": self._spark}, runs, warm_up=False)

    def qualities(self) -> dict[str, float]:
        """Return NDCG@10 of both on the ratings held out."""
        return {name: self._ndcg(dict(np.load(self._folder / f"{name}.npz"))) for name in ("ours", "spark")}

    def _ours(self) -> float:
        words = (self._file, self._folder / "ours.npz", *self._size, 2, self._seed)
        self._told = worker("als_fit", *words, environ={}).told
        return float(self._told["seconds"])

    def _spark(self) -> float:
        if not self._told:
            self._ours()
        per_user = len(self._train) / self._train.n_users
        words = (self._told["alpha"], self._told["ridge"] / per_user, self._seed)
        files = (self._folder / "train.parquet", self._folder / "spark.npz")
        environ = {"PYSPARK_PYTHON": str(self._python), "SPARK_LOCAL_IP": "127.0.0.1"}
        ended = worker("spark_als", *files, *self._size, *words, environ=environ, python=self._python)
        return float(ended.told["seconds"])

    def _ndcg(self, factors: Mapping[str, NDArray[np.float32]]) -> float:
        """Return the mean over users; both numbered users and films as the training data do."""
        known = interactions(self._train)
        ids = known.user_ids
        # Ours are in the order of the users that occur, Spark's by id.
        by_id = len(factors["users"]) != len(ids)
        users = np.unique(self._test.users)
        users = users[np.isin(users, ids)][:EVALUATED_USERS]
        rows = np.searchsorted(ids, users)
        vectors = factors["users"][users - 1] if by_id else factors["users"][rows]
        films = np.zeros((self._train.n_films, self._size[0]), dtype=np.float32)
        films[: len(factors["films"])] = factors["films"]
        ranked, _ = rank_rows(vectors @ films.T, known.matrix[rows], K)
        place = np.searchsorted(users, self._test.users)
        place[place == len(users)] = 0
        chosen = users[place] == self._test.users
        pairs = (place[chosen], self._test.films[chosen] - 1)
        targets = csr_matrix((np.ones(int(chosen.sum())), pairs), shape=(len(users), self._train.n_films))
        hits = metrics.hits_in(ranked, targets)
        return float(metrics.ndcg_at_k(hits, metrics.relevant_in(targets), K).mean())
