"""The rule by which a model may serve. It is pure: evaluations in, verdict out."""

from dataclasses import dataclass

from dataflix_recommender import metrics
from dataflix_trainer.evaluation.holdout_evaluation import MAIN_METRIC, Evaluation

# Below this a bootstrap interval over users says nothing, and popularity is the safer list to show. The API
# shows popular films by itself while there is no champion, so refusing leaves nobody without an answer.
MIN_USERS = 30
# A personal list must earn its keep: on MovieLens latest-small the model is 56 % above popularity, one that
# was trained on shuffled ratings 30 % below.
POPULARITY_MARGIN = 0.05
# Share of the catalogue in at least one top 10. On MovieLens latest-small popularity alone covers 1.0 % and
# the model 6.8 %: one under half a per cent shows everybody the same films, whatever its other figures say.
MIN_COVERAGE = 0.005
# Fixed, so that one question has one answer.
BOOTSTRAP_SEED = 7


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may serve, and why, in words that stand on the version in the registry."""

    accepted: bool
    reason: str


def decide(candidate: Evaluation, popularity: Evaluation, champion: Evaluation | None) -> Verdict:
    """Judge a candidate; all evaluations are of the same users on the same holdout.

    It must have enough users to be measured on, cover a share of the catalogue, beat popularity on NDCG@10
    by a margin and beyond chance, and not be worse than the champion beyond chance. Chance is the paired 95 %
    bootstrap interval of the difference over users.
    """
    if candidate.users < MIN_USERS:
        return Verdict(
            False,
            f"only {candidate.users} users have enough events to evaluate on, {MIN_USERS} are needed to tell "
            "a better model from luck",
        )
    coverage = candidate.overall["coverage@10"]
    if coverage < MIN_COVERAGE:
        return Verdict(
            False,
            f"its top 10 lists cover {coverage:.2%} of the catalogue, at least {MIN_COVERAGE:.1%} is needed",
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
        return Verdict(True, f"beats popularity: {against}; there is no champion yet")
    gain, low, high = _difference(candidate, champion)
    beside = f"the champion on the same users: {gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
    if high < 0:
        return Verdict(False, f"is worse than {beside}")
    return Verdict(True, f"beats popularity: {against}; not worse than {beside}")


def _difference(one: Evaluation, other: Evaluation) -> tuple[float, float, float]:
    paired = one.per_user[MAIN_METRIC] - other.per_user[MAIN_METRIC]
    return metrics.bootstrap_interval(paired, seed=BOOTSTRAP_SEED)
