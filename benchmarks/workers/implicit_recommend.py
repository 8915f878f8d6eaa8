"""The top 20 of every user by `implicit`, from given factors, without seen movies, kept in memory.

Use: implicit_recommend.py RATINGS MODEL

RATINGS is a file of benchkit.synthetic_ratings, MODEL an artifact. Prints one JSON line. Only the ranking is
timed, not the fold-in of the users before it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchkit.models import interactions
from benchkit.synthetic_ratings import Ratings
from dataflix_recommender import BatchFoldIn, Model

# The default of `implicit`. More users at a time gain nothing and take more memory.
USERS_AT_A_TIME = 1000
TOP_N = 20


def main(file: str, artifact: str) -> None:
    """Read the ratings, then rank once."""
    ratings = Ratings.load(Path(file))
    data = interactions(ratings)
    model = Model.load(Path(artifact))
    als = AlternatingLeastSquares(factors=model.info.factors)
    als.item_factors = np.array(model.item_factors)
    als.user_factors = BatchFoldIn(model.item_factors, model.gram, model.info).factors(data.matrix)
    with threadpool_limits(1, "blas"):
        begun, cpu = time.perf_counter(), time.process_time()
        for start in range(0, data.matrix.shape[0], USERS_AT_A_TIME):
            some = np.arange(start, min(start + USERS_AT_A_TIME, data.matrix.shape[0]))
            als.recommend(some, data.matrix[some], N=TOP_N, filter_already_liked_items=True)
        seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}) + "\n")


main(*sys.argv[1:])
