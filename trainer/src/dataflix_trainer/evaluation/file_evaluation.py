"""Evaluates all candidates on a file of ratings: split, fit, and measure once on the test split."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender import metrics
from dataflix_recommender.baselines import Ease, Scorer
from dataflix_trainer.data.ratings import Ratings
from dataflix_trainer.evaluation.candidates import Conditions, Params, ProductScorer, candidates_of
from dataflix_trainer.evaluation.measurement import ALL, Measurement, measure
from dataflix_trainer.evaluation.options import FileEvaluationOptions
from dataflix_trainer.evaluation.protocols import PROTOCOLS, RatingsSplit, counts_of

log = logging.getLogger(__name__)

# The order of the report. ALS is fitted first, because its factors measure the diversity of all models.
REPORT_ORDER = ("dataflix", "als", "ease", "itemknn", "popular", "recent")


@dataclass(frozen=True, slots=True)
class TunedParameters:
    """The parameters of a tuned candidate, and ``facts`` about the tuning for the report."""

    params: Params
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured of one candidate."""

    name: str
    measurement: Measurement
    params: Params
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        result = {"name": self.name, "metrics": self.measurement.figures, "seconds": round(self.seconds, 3)}
        return result | {"params": dict(self.params)} | self.notes


def split_ratings(ratings: Ratings, options: FileEvaluationOptions) -> RatingsSplit:
    """Split ratings by a protocol.

    Raises:
        DataError: too few users are left to evaluate.
    """
    split = PROTOCOLS[options.protocol](ratings, seed=options.seed)
    log.info("event=split protocol=%s %s", options.protocol, counts_of(split.test))
    return split


def evaluate_candidates(
    ratings: Ratings,
    split: RatingsSplit,
    options: FileEvaluationOptions,
    tuned: Mapping[str, TunedParameters],
) -> dict[str, Any]:
    """Fit every candidate and measure it on the test split.

    Args:
        ratings: what was split.
        split: its validation and test splits.
        options: cutoffs, seed and threads.
        tuned: parameters by the names of candidates; the others use their defaults.

    Returns:
        The report, as its JSON holds it.
    """
    outcomes = _measure_all(split, options, tuned)
    return {
        "data": _data(ratings, split),
        "protocol": options.protocol.value,
        "seed": options.seed,
        "tuned": bool(tuned),
        "models": [outcomes[name].to_dict() for name in REPORT_ORDER if name in outcomes],
        "comparisons": _comparisons(outcomes, options),
    }


def _measure_all(
    split: RatingsSplit, options: FileEvaluationOptions, tuned: Mapping[str, TunedParameters]
) -> dict[str, Outcome]:
    conditions = Conditions(options.seed, options.threads)
    outcomes: dict[str, Outcome] = {}
    vectors: list[NDArray[np.float32]] | None = None
    for candidate in candidates_of(options.protocol):
        tuning = tuned.get(candidate.name)
        params = candidate.defaults if tuning is None else tuning.params
        began = time.monotonic()
        scorers = [candidate.fit(part, params, conditions) for part in split.test]
        if vectors is None:
            vectors = [_item_vectors(scorer) for scorer in scorers]
        measurement = measure(scorers, split.test, options.cutoffs, vectors, seed=options.seed)
        seconds = time.monotonic() - began
        notes = _notes(scorers[-1], tuning)
        outcomes[candidate.name] = Outcome(candidate.name, measurement, params, seconds, notes)
        log.info("event=measured model=%s seconds=%.1f", candidate.name, seconds)
    return outcomes


def _item_vectors(scorer: Scorer) -> NDArray[np.float32]:
    if not isinstance(scorer, ProductScorer):
        raise TypeError("the first candidate must be ALS, whose factors tell how alike items are")
    return scorer.model.item_factors


def _notes(scorer: Scorer, tuning: TunedParameters | None) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if isinstance(scorer, Ease):
        notes["items_learnt"] = len(scorer.items)
    if tuning is not None:
        notes["tuning"] = dict(tuning.facts)
    return notes


def _data(ratings: Ratings, split: RatingsSplit) -> dict[str, Any]:
    users, items = ratings.shape
    return {
        **ratings.facts,
        "users": users,
        "items": items,
        "ratings": len(ratings),
        "catalogue": split.test[0].train.shape[1],
        "validation": counts_of(split.validation),
        "test": counts_of(split.test),
        "protocol_counts": split.facts,
        "diversity_vectors": "item factors of the run's plain ALS",
    }


def _comparisons(outcomes: Mapping[str, Outcome], options: FileEvaluationOptions) -> list[dict[str, Any]]:
    """Return how the product's model compares with each other one: the ratio and the paired interval.

    Where some users were known and some new when models were fitted, both groups are compared as well.
    """
    name = f"ndcg@{options.main_cutoff}"
    ours = REPORT_ORDER[0]
    groups = list(outcomes[ours].measurement.per_user)
    rows = []
    for group in groups if len(groups) > 2 else [ALL]:  # noqa: PLR2004 - all, and one that is all of them
        for other in REPORT_ORDER:
            if other == ours or other not in outcomes:
                continue
            values, baseline = (outcomes[model].measurement.per_user[group][name] for model in (ours, other))
            mean, low, high = metrics.bootstrap_interval(values - baseline, seed=options.seed)
            base = float(baseline.mean())
            rows.append(
                {
                    "metric": name,
                    "users": group,
                    "evaluated_users": len(values),
                    "model": ours,
                    "against": other,
                    "value": float(values.mean()),
                    "baseline": base,
                    "ratio": float(values.mean()) / base if base else None,
                    "difference": {"mean": mean, "low": low, "high": high},
                }
            )
    return rows
