"""Our fits and Spark's on the same ratings: time, and quality on held-out ratings."""

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from scipy.sparse import csr_matrix

from benchkit.models import fit_model, interactions
from benchkit.processes import run_worker
from benchkit.program import log
from benchkit.synthetic_ratings import Ratings
from benchkit.warehouse_data import weights_of
from dataflix_recommender import BatchRanker, Model, metrics, top_k_rows
from dataflix_trainer.model.hyperparameters import Hyperparameters

HELD_OUT = 0.2
K = 10
EVALUATED_USERS = 2_000
# Multiples of the default ridge of our fit. Spark multiplies its ridge by the events of each user and movie,
# so no ridge means the same to both: each method is judged with the best of these.
SCALES = (0.5, 1.0, 2.0, 4.0)


def missing(python: Path) -> str:
    """Return what Spark needs and this machine lacks; empty when Spark can run."""
    if shutil.which("java") is None:
        return "java is not installed"
    probe = subprocess.run([str(python), "-c", "import pyspark, numpy"], capture_output=True, check=False)
    return (
        ""
        if probe.returncode == 0
        else f"{python} has no pyspark and numpy; name a Python that has with --spark-python"
    )


@dataclass(frozen=True, slots=True)
class FitResult:
    """The result of one method.

    Attributes:
        seconds: The time of its fits, one for each ridge.
        ndcg: NDCG@10 of the best fit, on users other than those that it was chosen on.
    """

    seconds: list[float]
    ndcg: float


class SparkComparison:
    """Fits the same four fifths of some ratings with three methods.

    ``ours`` is the ALS of `implicit` with the factors, iterations and alpha of ``spark``. ``served`` is the
    trainer's fit, which weights users by their activity and adds item-item weights, ranked as it is served.
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
        self._file = self._train.save(folder / "train.npz")
        self._known = interactions(self._train)
        users = np.intersect1d(self._test.users, self._known.user_ids)
        # One half of the users chooses the ridge, the other half is judged.
        self._choosing, self._judged = users[::2][:EVALUATED_USERS], users[1::2][:EVALUATED_USERS]
        self._model: Model | None = None
        columns = {"user": self._train.users - 1, "movie": self._train.movies - 1}
        table = pa.table(
            {name: column.astype(np.int32) for name, column in columns.items()}
            | {"weight": weights_of(self._train)}
        )
        parquet.write_table(table, folder / "train.parquet")

    def run(self) -> dict[str, FitResult]:
        """Fit with each method and each ridge. The ridge changes the quality and hardly the time."""
        methods = {"ours": self._ours, "served": self._served, "spark": self._spark}
        found: dict[str, list[tuple[float, float, float]]] = {method: [] for method in methods}
        for scale in SCALES:
            for method, fit in methods.items():
                seconds = fit(scale)
                chosen, judged = (self._ndcg(method, users) for users in (self._choosing, self._judged))
                log(f"{method}, {scale:g} times the ridge: {seconds:.1f} s, NDCG@{K} {chosen:.4f}")
                found[method].append((chosen, judged, seconds))
        return {
            method: FitResult([seconds for _, _, seconds in fits], max(fits)[1])
            for method, fits in found.items()
        }

    def _ours(self, scale: float) -> float:
        words = (self._file, self._folder / "ours.npz", *self._size, 2, self._seed, scale)
        return float(run_worker("implicit_fit", *words, environ={}).json["seconds"])

    def _served(self, scale: float) -> float:
        factors, iterations = self._size
        begun = time.perf_counter()
        self._model = fit_model(self._train, factors, seed=self._seed, iterations=iterations, scale=scale)
        return time.perf_counter() - begun

    def _spark(self, scale: float) -> float:
        plain = Hyperparameters.plain(regularization_scale=scale)
        # Spark multiplies it by the events of a user; for an average user the product is our ridge.
        ridge = plain.ridge(self._known.matrix) * self._train.n_users / len(self._train)
        files = (self._folder / "train.parquet", self._folder / "spark.npz")
        words = (*files, *self._size, plain.alpha, ridge, self._seed)
        environ = {"PYSPARK_PYTHON": str(self._python), "SPARK_LOCAL_IP": "127.0.0.1"}
        return float(run_worker("spark_als", *words, environ=environ, python=self._python).json["seconds"])

    def _ranked(self, method: str, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the top K int64[U, K] of ``users`` by the last fit of ``method``."""
        rows = np.searchsorted(self._known.user_ids, users)
        seen = self._known.matrix[rows]
        if method == "served":
            assert self._model is not None
            return BatchRanker(self._model).recommend(seen, K)[0]
        factors = dict(np.load(self._folder / f"{method}.npz"))
        # Our factors are in the order of the users that occur, Spark's are by id.
        by_id = len(factors["users"]) != len(self._known.user_ids)
        movies = np.zeros((self._train.n_movies, self._size[0]), dtype=np.float32)
        movies[: len(factors["movies"])] = factors["movies"]
        return top_k_rows(factors["users"][users - 1 if by_id else rows] @ movies.T, seen, K)[0]

    def _ndcg(self, method: str, users: NDArray[np.int64]) -> float:
        """Return the mean NDCG@K on the held-out ratings of ``users``, which are sorted."""
        chosen = np.isin(self._test.users, users)
        pairs = (np.searchsorted(users, self._test.users[chosen]), self._test.movies[chosen] - 1)
        targets = csr_matrix((np.ones(int(chosen.sum())), pairs), shape=(len(users), self._train.n_movies))
        hits = metrics.hits_in(self._ranked(method, users), targets)
        return float(metrics.ndcg_at_k(hits, metrics.relevant_in(targets), K).mean())
