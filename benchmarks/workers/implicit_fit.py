"""The bare fit of `implicit` on ratings in memory, with BLAS limited to one thread.

Use: implicit_fit.py RATINGS OUT FACTORS ITERATIONS THREADS SEED SCALE

RATINGS is a file of benchkit.synthetic_ratings, OUT the file for the factors. The ridge is SCALE times that
of the trainer. Prints one JSON line. Only the fit is timed.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from benchkit.models import interactions
from benchkit.synthetic_ratings import Ratings
from dataflix_trainer.model.hyperparameters import Hyperparameters


def main(
    file: str, out: str, *, factors: int, iterations: int, threads: int, seed: int, scale: float
) -> None:
    """Fit once."""
    matrix = interactions(Ratings.load(Path(file))).matrix
    settings = Hyperparameters.plain(regularization_scale=scale)
    with threadpool_limits(1, "blas"):
        begun = time.perf_counter()
        als = AlternatingLeastSquares(
            factors=factors,
            alpha=settings.alpha,
            regularization=settings.ridge(matrix),
            iterations=iterations,
            num_threads=threads,
            random_state=seed,
        )
        als.fit(matrix, show_progress=False)
        seconds = time.perf_counter() - begun
    np.savez(out, users=als.user_factors, movies=als.item_factors)
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")


ratings, result, *sizes, multiple = sys.argv[1:]
numbers = dict(zip(("factors", "iterations", "threads", "seed"), map(int, sizes), strict=True))
main(ratings, result, **numbers, scale=float(multiple))
