"""The promotion rule: each way to be refused, and the way to be accepted."""

import numpy as np
import pytest

from dataflix_trainer.evaluation.holdout_evaluation import Evaluation
from dataflix_trainer.promotion.rule import MIN_USERS, decide

USERS = 400
NOISE = np.random.default_rng(6).random(USERS)


def measured(
    mean: float, *, users: int = USERS, coverage: float = 0.1, noise: np.ndarray = NOISE
) -> Evaluation:
    """An evaluation whose NDCG@10 has this mean and differs from user to user."""
    spread = noise[:users] - noise[:users].mean()
    return Evaluation({"ndcg@10": mean * (1 + spread)}, {"coverage@10": coverage})


def test_a_first_model_that_beats_popularity_is_accepted() -> None:
    verdict = decide(measured(0.13), measured(0.09), None)
    assert verdict.accepted
    for words in ("beats popularity", "0.1300", "0.0900", "+0.0400", "400 users", "no champion yet"):
        assert words in verdict.reason


@pytest.mark.parametrize("mean", [0.05, 0.09, 0.094])
def test_a_model_that_does_not_beat_popularity_by_the_margin_is_refused(mean: float) -> None:
    verdict = decide(measured(mean), measured(0.09), None)
    assert not verdict.accepted
    assert "does not beat popularity by 5%" in verdict.reason


def test_a_gain_that_may_be_chance_is_refused() -> None:
    other_noise = np.random.default_rng(8).random(USERS)
    noisy = measured(0.097, users=40), measured(0.09, users=40, noise=other_noise)
    verdict = decide(*noisy, None)
    assert not verdict.accepted
    assert "beyond chance" in verdict.reason


def test_too_few_users_tell_nothing() -> None:
    verdict = decide(measured(0.5, users=MIN_USERS - 1), measured(0.01, users=MIN_USERS - 1), None)
    assert not verdict.accepted
    assert f"only {MIN_USERS - 1} users" in verdict.reason
    assert decide(measured(0.5, users=MIN_USERS), measured(0.01, users=MIN_USERS), None).accepted


def test_nobody_to_measure_on_is_refused_and_not_an_error() -> None:
    nobody = Evaluation({"ndcg@10": np.array([])}, {"coverage@10": 0.0})
    assert "only 0 users" in decide(nobody, nobody, None).reason


def test_a_model_that_shows_everybody_the_same_is_refused() -> None:
    verdict = decide(measured(0.5, coverage=0.004), measured(0.09), None)
    assert not verdict.accepted
    assert "0.40% of the catalogue" in verdict.reason


def test_a_model_worse_than_the_champion_is_refused_even_if_it_beats_popularity() -> None:
    verdict = decide(measured(0.12), measured(0.09), measured(0.13))
    assert not verdict.accepted
    assert "is worse than the champion" in verdict.reason


def test_a_model_as_good_as_the_champion_takes_its_place() -> None:
    # Fresher data are worth a difference that may be chance.
    other_noise = np.random.default_rng(9).random(USERS)
    verdict = decide(measured(0.129), measured(0.09), measured(0.13, noise=other_noise))
    assert verdict.accepted
    assert "not worse than the champion" in verdict.reason


def test_one_question_has_one_answer() -> None:
    case = measured(0.1), measured(0.09), measured(0.1)
    assert decide(*case) == decide(*case)
