"""Our fits and Spark's on the same ratings: time, and what they are worth on ratings held out."""

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

from benchkit.data import Ratings
from benchkit.lake import weights_of
from benchkit.models import fit_model, interactions
from benchkit.processes import worker
from benchkit.program import say
from dataflix_recommender import BatchRanker, Model, metrics, top_k_rows
from dataflix_trainer.model.als import Hyperparameters

HELD_OUT = 0.2
K = 10
EVALUATED_USERS = 2_000
# Ridges, over the one that our fit takes by itself. Spark multiplies its own by the events of each user and
# film, so no ridge means the same to both: each way is raced with the best of these.
SCALES = (0.5, 1.0, 2.0, 4.0)


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


@dataclass(frozen=True, slots=True)
class Raced:
    """One way: seconds of its fits, one for each ridge, and NDCG@10 of the best on users who chose none."""

    seconds: list[float]
    ndcg: float


class Race:
    """Fits of the same four fifths of some ratings.

    ``ours`` is the library's bare ALS, with the factors, iterations and alpha of ``spark``; ``served`` is the
    trainer's fit, with users weighed by their activity and links between films, ranked as it is served.
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
        # Those who choose the ridge, and those whose lists are judged.
        self._choosing, self._judged = users[::2][:EVALUATED_USERS], users[1::2][:EVALUATED_USERS]
        self._model: Model | None = None
        columns = {"user": self._train.users - 1, "film": self._train.films - 1}
        table = pa.table(
            {name: column.astype(np.int32) for name, column in columns.items()}
            | {"weight": weights_of(self._train)}
        )
        parquet.write_table(table, folder / "train.parquet")

    def run(self) -> dict[str, Raced]:
        """Fit in every way with every ridge, which changes its worth, but hardly its time."""
        ways = {"ours": self._ours, "served": self._served, "spark": self._spark}
        found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for scale in SCALES:
            for way, fit in ways.items():
                seconds = fit(scale)
                chosen, judged = (self._ndcg(way, users) for users in (self._choosing, self._judged))
                say(f"{way}, {scale:g} times the ridge: {seconds:.1f} s, NDCG@{K} {chosen:.4f}")
                found[way].append((chosen, judged, seconds))
        return {way: Raced([seconds for _, _, seconds in fits], max(fits)[1]) for way, fits in found.items()}

    def _ours(self, scale: float) -> float:
        words = (self._file, self._folder / "ours.npz", *self._size, 2, self._seed, scale)
        return float(worker("als_fit", *words, environ={}).told["seconds"])

    def _served(self, scale: float) -> float:
        factors, iterations = self._size
        begun = time.perf_counter()
        self._model = fit_model(self._train, factors, seed=self._seed, iterations=iterations, scale=scale)
        return time.perf_counter() - begun

    def _spark(self, scale: float) -> float:
        plain = Hyperparameters.plain(regularization_scale=scale)
        # Multiplied by the events of an average user, it is ours.
        ridge = plain.ridge(self._known.matrix) * self._train.n_users / len(self._train)
        files = (self._folder / "train.parquet", self._folder / "spark.npz")
        words = (*files, *self._size, plain.alpha, ridge, self._seed)
        environ = {"PYSPARK_PYTHON": str(self._python), "SPARK_LOCAL_IP": "127.0.0.1"}
        return float(worker("spark_als", *words, environ=environ, python=self._python).told["seconds"])

    def _ranked(self, way: str, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the top K int64[U, K] of ``users`` by what was fitted last."""
        rows = np.searchsorted(self._known.user_ids, users)
        seen = self._known.matrix[rows]
        if way == "served":
            assert self._model is not None
            return BatchRanker(self._model).recommend(seen, K)[0]
        factors = dict(np.load(self._folder / f"{way}.npz"))
        # Ours are in the order of the users that occur, Spark's by id.
        by_id = len(factors["users"]) != len(self._known.user_ids)
        films = np.zeros((self._train.n_films, self._size[0]), dtype=np.float32)
        films[: len(factors["films"])] = factors["films"]
        return top_k_rows(factors["users"][users - 1 if by_id else rows] @ films.T, seen, K)[0]

    def _ndcg(self, way: str, users: NDArray[np.int64]) -> float:
        """Return the mean over ``users``, which are sorted, on the ratings held out."""
        chosen = np.isin(self._test.users, users)
        pairs = (np.searchsorted(users, self._test.users[chosen]), self._test.films[chosen] - 1)
        targets = csr_matrix((np.ones(int(chosen.sum())), pairs), shape=(len(users), self._train.n_films))
        hits = metrics.hits_in(self._ranked(way, users), targets)
        return float(metrics.ndcg_at_k(hits, metrics.relevant_in(targets), K).mean())
