"""The promotion rule, a pure function: evaluations in, verdict out."""

from dataclasses import dataclass

from dataflix_recommender import metrics
from dataflix_trainer.evaluation.holdout_evaluation import BOOTSTRAP_SEED, Evaluation
from dataflix_trainer.evaluation.options import MAIN_METRIC

# A bootstrap interval over fewer users says nothing. Without a champion the API shows popular movies, so a
# refusal leaves no user without an answer.
MIN_USERS = 30
# On MovieLens latest-small the model is 56 % above popularity; a model of shuffled ratings is 30 % below.
POPULARITY_MARGIN = 0.05
# Share of the catalogue in at least one top 10. On MovieLens latest-small popularity covers 1.0 %, the model
# 6.8 %. A model below half a per cent shows the same items to all users.
MIN_COVERAGE = 0.005


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may serve, and the reason, which the registry records on the version."""

    accepted: bool
    reason: str


def decide(
    candidate: Evaluation,
    popularity: Evaluation,
    champion: Evaluation | None,
    *,
    without_champion: str = "there is no champion yet",
) -> Verdict:
    """Decide whether a candidate may serve.

    There must be enough users to measure on. The candidate must cover a share of the catalogue, beat
    popularity on NDCG@10 by a margin and beyond chance, and not be worse than the champion beyond chance.
    Chance is the paired 95 % bootstrap interval of the difference over users.

    Args:
        candidate: evaluation of the version to decide on.
        popularity: evaluation of the popular items, on the same holdout.
        champion: evaluation of the version that serves, on the same holdout, if there is one.
        without_champion: why there is none, for the reason of the verdict.
    """
    if candidate.users < MIN_USERS:
        return Verdict(
            False,
            f"only {candidate.users} users have enough events to evaluate on; {MIN_USERS} are needed to tell "
            "a better model from luck",
        )
    coverage = candidate.overall["coverage@10"]
    if coverage < MIN_COVERAGE:
        return Verdict(
            False,
            f"its top 10 lists cover {coverage:.2%} of the catalogue; at least {MIN_COVERAGE:.1%} is needed",
        )
    score = float(candidate.per_user[MAIN_METRIC].mean())
    baseline = float(popularity.per_user[MAIN_METRIC].mean())
    gain, low, high = _difference(candidate, popularity)
    against = (
        f"NDCG@10 {score:.4f} against popularity's {baseline:.4f} on {candidate.users} users "
        f"(difference {gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f})"
    )
    if low <= 0 or score < baseline * (1 + POPULARITY_MARGIN):
        return Verdict(False, f"does not beat popularity by {POPULARITY_MARGIN:.0%} beyond chance: {against}")
    if champion is None:
        return Verdict(True, f"beats popularity: {against}; {without_champion}")
    gain, low, high = _difference(candidate, champion)
    compared = f"the champion on the same users: {gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
    if high < 0:
        return Verdict(False, f"is worse than {compared}")
    return Verdict(True, f"beats popularity: {against}; not worse than {compared}")


def _difference(one: Evaluation, other: Evaluation) -> tuple[float, float, float]:
    paired = one.per_user[MAIN_METRIC] - other.per_user[MAIN_METRIC]
    return metrics.bootstrap_interval(paired, seed=BOOTSTRAP_SEED)
