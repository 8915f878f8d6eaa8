"""One benchmark: read, split, tune if asked, fit, measure once on the test part."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import metrics
from dataflix_recommender.baselines import Ease, Scorer
from dataflix_trainer.data.ratings import Ratings
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.evaluation.candidates import CANDIDATES, Candidate, Conditions, Served
from dataflix_trainer.evaluation.measurement import Measured, measure, ndcg
from dataflix_trainer.evaluation.protocols import PROTOCOLS, Split
from dataflix_trainer.tuning.search import Found, search

log = logging.getLogger(__name__)

MAIN_CUTOFF = 10
# Times the square of the number of parameters: one is found in a dozen trials, and four end by the budget.
TRIALS = 15
# Evaluated users that tuning looks at: more narrow the noise of a gain little, and cost a millisecond each in
# every trial, which for all users of ml-1m is as long as a fit.
TUNED_USERS = 2_000
# The order of the report; ALS is fitted before all others, whose diversity is measured by its factors.
SHOWN = ("dataflix", "als", "ease", "itemknn", "popular", "recent")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a benchmark is asked for; ``budget`` are the seconds that tuning may take in all."""

    protocol: str
    cutoffs: tuple[int, ...]
    seed: int
    threads: int
    tune: bool
    budget: float

    @property
    def tuned_cutoff(self) -> int:
        """The k of the NDCG that tuning maximises."""
        return MAIN_CUTOFF if MAIN_CUTOFF in self.cutoffs else min(self.cutoffs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out for one candidate."""

    name: str
    measured: Measured
    params: Mapping[str, Any]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        result = {"name": self.name, "metrics": self.measured.figures, "seconds": round(self.seconds, 3)}
        return result | {"params": dict(self.params)} | self.notes


def benchmark(path: Path, settings: Settings) -> dict[str, Any]:
    """Measure every candidate on the ratings at ``path``; return the report as JSON holds it.

    Raises DataError for files that are no ratings, and for too few users.
    """
    began = time.monotonic()
    ratings = read_ratings(path)
    log.info("event=read file=%s ratings=%d seconds=%.1f", path, len(ratings), time.monotonic() - began)
    split = PROTOCOLS[settings.protocol](ratings, seed=settings.seed)
    log.info("event=split protocol=%s %s", settings.protocol, split.test.counts())
    tuned = _tune(split, settings) if settings.tune else {}
    outcomes = _measure_all(split, settings, tuned)
    return {
        "data": _data(ratings, split),
        "protocol": settings.protocol,
        "seed": settings.seed,
        "tuned": settings.tune,
        "models": [outcomes[name].to_dict() for name in SHOWN if name in outcomes],
        "comparisons": _comparisons(outcomes, settings),
    }


def _tune(split: Split, settings: Settings) -> dict[str, Found]:
    """Tune each candidate that has parameters on the validation part.

    They share the budget: each may take an equal part of what is left, so what one does not use (few
    parameters, few trials) goes to those after it.
    """
    conditions = Conditions(settings.seed, settings.threads)
    # Those with few parameters end early.
    waiting = sorted((c for c in CANDIDATES if c.space), key=lambda candidate: len(candidate.space))
    left, found = settings.budget, {}
    for place, candidate in enumerate(waiting):
        found[candidate.name] = _tune_one(
            candidate, split, settings, conditions, left / (len(waiting) - place)
        )
        left = max(0.0, left - found[candidate.name].seconds)
    return found


def _tune_one(
    candidate: Candidate, split: Split, settings: Settings, conditions: Conditions, seconds: float
) -> Found:
    part = split.validation.sampled(TUNED_USERS, seed=settings.seed)

    def objective(params: Mapping[str, Any]) -> NDArray[np.float64]:
        return ndcg(candidate.fit(part, params, conditions), part, settings.tuned_cutoff)

    log.info("event=tuning model=%s seconds=%.0f", candidate.name, seconds)
    found = search(
        objective,
        candidate.space,
        candidate.defaults,
        seconds=seconds,
        guesses=candidate.guesses,
        max_trials=TRIALS * len(candidate.space) ** 2,
        seed=settings.seed,
    )
    log.info(
        "event=tuned model=%s trials=%d validation=%.4f params=%s",
        *(candidate.name, found.trials, found.value, found.params),
    )
    return found


def _measure_all(split: Split, settings: Settings, tuned: Mapping[str, Found]) -> dict[str, Outcome]:
    conditions = Conditions(settings.seed, settings.threads)
    outcomes: dict[str, Outcome] = {}
    vectors: NDArray[np.float32] | None = None
    for candidate in CANDIDATES:
        found = tuned.get(candidate.name)
        params = candidate.defaults if found is None else found.params
        began = time.monotonic()
        scorer = candidate.fit(split.test, params, conditions)
        if vectors is None:
            vectors = _vectors(scorer)
        measured = measure(scorer, split.test, settings.cutoffs, vectors, seed=settings.seed)
        seconds = time.monotonic() - began
        notes = _notes(scorer, found, settings)
        outcomes[candidate.name] = Outcome(candidate.name, measured, params, seconds, notes)
        log.info("event=measured model=%s seconds=%.1f", candidate.name, seconds)
    return outcomes


def _vectors(scorer: Scorer) -> NDArray[np.float32]:
    if not isinstance(scorer, Served):
        raise TypeError("the first candidate must be plain ALS, whose factors tell how alike items are")
    return scorer.model.item_factors


def _notes(scorer: Scorer, found: Found | None, settings: Settings) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if isinstance(scorer, Ease):
        notes["items_learnt"] = len(scorer.items)
    if found is not None:
        notes["tuning"] = {
            "trials": found.trials,
            "seconds": round(found.seconds, 1),
            f"validation_ndcg@{settings.tuned_cutoff}": found.value,
            f"default_ndcg@{settings.tuned_cutoff}": found.start,
        }
    return notes


def _data(ratings: Ratings, split: Split) -> dict[str, Any]:
    users, items = ratings.shape
    return {
        **ratings.facts,
        "users": users,
        "items": items,
        "ratings": len(ratings),
        "catalogue": split.test.train.shape[1],
        "validation": split.validation.counts(),
        "test": split.test.counts(),
        "protocol_counts": split.facts,
        "diversity_vectors": "item factors of the run's plain ALS",
    }


def _comparisons(outcomes: Mapping[str, Outcome], settings: Settings) -> list[dict[str, Any]]:
    """Return how far the product's model is from each other one: the ratio, and the paired interval."""
    name = f"ndcg@{settings.tuned_cutoff}"
    ours = SHOWN[0]
    rows = []
    for other in SHOWN:
        if other == ours or other not in outcomes:
            continue
        values = [outcomes[who].measured.per_user[name] for who in (ours, other)]
        mean, low, high = metrics.bootstrap_interval(values[0] - values[1], seed=settings.seed)
        base = float(values[1].mean())
        rows.append(
            {
                "metric": name,
                "model": ours,
                "against": other,
                "ratio": float(values[0].mean()) / base if base else None,
                "difference": {"mean": mean, "low": low, "high": high},
            }
        )
    return rows
