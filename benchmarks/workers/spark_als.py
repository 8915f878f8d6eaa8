"""The fit of Spark's ALS (`local[2]`) on the same ratings, with the same factors, iterations and alpha.

Use: spark_als.py PARQUET OUT FACTORS ITERATIONS ALPHA RIDGE SEED

It needs an environment with pyspark, numpy and Java. PARQUET has the columns user and movie (from 0) and
weight. Spark multiplies its ridge by the number of events of a user or movie, so RIDGE is the one for an
average user. Prints one JSON line. Only the fit is timed, after a first fit on the same data that warms up
the JVM.
"""

import json
import sys
import time

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession


def main(
    file: str, out: str, *, factors: int, iterations: int, alpha: float, ridge: float, seed: int
) -> None:
    """Fit once to warm up, then once with the clock on."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    ratings = spark.read.parquet(file).repartition(2).cache()
    ratings.count()

    def als(rounds: int) -> ALS:
        return ALS(
            rank=factors,
            maxIter=rounds,
            regParam=ridge,
            alpha=alpha,
            implicitPrefs=True,
            userCol="user",
            itemCol="movie",
            ratingCol="weight",
            seed=seed,
        )

    als(1).fit(ratings)
    begun = time.perf_counter()
    model = als(iterations).fit(ratings)
    # Spark is lazy: counting the factors computes them.
    model.userFactors.count()
    model.itemFactors.count()
    seconds = time.perf_counter() - begun
    np.savez(out, users=_array(model.userFactors, factors), movies=_array(model.itemFactors, factors))
    spark.stop()
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")


def _array(frame: DataFrame, factors: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    rows = frame.collect()
    found = np.zeros((max(row.id for row in rows) + 1, factors), dtype=np.float32)
    for row in rows:
        found[row.id] = row.features
    return found


data, result, rank, rounds, confidence, penalty, start = sys.argv[1:]
main(
    data,
    result,
    factors=int(rank),
    iterations=int(rounds),
    alpha=float(confidence),
    ridge=float(penalty),
    seed=int(start),
)
