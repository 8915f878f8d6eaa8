"""The library's own top 20 for everybody, from factors it is given, seen films left out, into memory.

Use: implicit_recommend.py RATINGS FACTORS SEED, a file of benchkit.data. Prints one JSON line; only the
ranking is timed.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchkit.data import Ratings
from benchkit.models import interactions, make_model

# Its default: more users at a time gain nothing, and take more memory.
USERS_AT_A_TIME = 1000
TOP_N = 20


def main(file: str, factors: int, seed: int) -> None:
    """Read the ratings, then rank once."""
    ratings = Ratings.load(Path(file))
    data = interactions(ratings)
    als = AlternatingLeastSquares(factors=factors)
    als.item_factors = make_model(ratings.n_films, factors, seed=seed, links=False).item_factors
    rng = np.random.default_rng(seed)
    als.user_factors = rng.normal(0, factors**-0.5, (data.matrix.shape[0], factors)).astype(np.float32)
    with threadpool_limits(1, "blas"):
        begun = time.perf_counter()
        for start in range(0, data.matrix.shape[0], USERS_AT_A_TIME):
            some = np.arange(start, min(start + USERS_AT_A_TIME, data.matrix.shape[0]))
            als.recommend(some, data.matrix[some], N=TOP_N, filter_already_liked_items=True)
        seconds = time.perf_counter() - begun
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")


main(sys.argv[1], *map(int, sys.argv[2:]))
