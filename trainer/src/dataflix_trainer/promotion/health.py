"""Checks that a model can serve: finite numbers, speed and size, which no metric measures."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataflix_recommender import History, Model

# The heaviest user that the API answers without delay; see the fold-in's own limit of 2 ms at 128 factors.
HEAVY_USER_EVENTS = 1000
# The median of so many requests counts, so that the first touch of memory does not.
REQUESTS = 15
LIST_LENGTH = 20
# CPU time of a list for the heavy user, so that a busy machine refuses nothing. 128 factors and 10,000 items
# take 1 ms, 256 factors and 62,000 items 7 ms.
MAX_LIST_S = 0.03
# Each API host downloads the artifact and each worker copies it. 62,000 items at 256 factors take 64 MiB.
MAX_ARTIFACT_BYTES = 2 << 30
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Health:
    """What was found about a model.

    Attributes:
        finite: whether all its scores are finite numbers.
        learnt: share of the items that have factors.
        list_s: CPU seconds of one list for a heavy user.
        artifact_bytes: size of the artifact.
    """

    finite: bool
    learnt: float
    list_s: float
    artifact_bytes: int

    def problem(self) -> str | None:
        """Return why the model cannot serve, None when it can."""
        if not self.finite:
            return "its scores are not finite numbers"
        if self.learnt == 0:
            return "all its factors are zero"
        if self.list_s > MAX_LIST_S:
            return (
                f"a list for a user of {HEAVY_USER_EVENTS:,} ratings takes {self.list_s * 1000:.0f} ms of "
                f"CPU time, at most {MAX_LIST_S * 1000:.0f} are allowed"
            )
        if self.artifact_bytes > MAX_ARTIFACT_BYTES:
            return (
                f"its artifact has {self.artifact_bytes / MEBIBYTE:,.0f} MiB, at most "
                f"{MAX_ARTIFACT_BYTES / MEBIBYTE:,.0f} are allowed"
            )
        return None

    def __str__(self) -> str:
        size = self.artifact_bytes / MEBIBYTE
        return f"a list takes {self.list_s * 1000:.1f} ms, the artifact {size:.1f} MiB"


def check_health(folder: Path) -> Health:
    """Load the artifact in ``folder`` and request lists from it.

    Raises:
        ArtifactError: it is damaged or holds NaN.
    """
    model = Model.load(folder)
    events = min(HEAVY_USER_EVENTS, model.size)
    positions = np.linspace(0, model.size - 1, events).astype(np.int64)
    history = History(model.item_ids[positions], np.ones(events, dtype=np.float32))
    seconds = []
    for _ in range(REQUESTS):
        began = time.thread_time()
        model.recommend(history, LIST_LENGTH, explain=False)
        seconds.append(time.thread_time() - began)
    scores = model.scores(history)
    return Health(
        finite=bool(np.isfinite(scores).all() and np.isfinite(model.gram).all()),
        learnt=float(model.item_factors.any(axis=1).mean()),
        list_s=float(np.median(seconds)),
        artifact_bytes=sum(file.stat().st_size for file in folder.iterdir()),
    )
