"""Fold-in and explanation: the convention of ``implicit``, and contributions that sum to the score."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from dataflix_recommender import EMPTY_HISTORY, History, Model, UnknownItemError

ModelFactory = Callable[..., Model]
WEIGHTS = (-2.5, -2.0, -0.5, 0.25, 0.5, 1.0, 2.5, 4.0)
histories = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from(WEIGHTS)), max_size=25, unique_by=lambda event: event[0]
).map(lambda events: History([10 * n for n, _ in events], [weight for _, weight in events]))


def as_row(model: Model, history: History) -> csr_matrix:
    order = np.argsort(model.positions(history.item_ids))
    columns = model.positions(history.item_ids)[order]
    return csr_matrix((history.weights[order], columns, [0, len(history)]), shape=(1, model.size))


def reference(model: Model) -> AlternatingLeastSquares:
    als = AlternatingLeastSquares(
        factors=model.info.factors, regularization=model.info.regularization, alpha=model.info.alpha
    )
    als.item_factors = np.array(model.item_factors)
    return als


@given(history=histories)
def test_fold_in_solves_the_system_of_implicit(model: Model, history: History) -> None:
    # A negative weight is a preference of 0 with abs(c) as confidence; below 1 it is less sure than unseen.
    expected = reference(model).recalculate_user(0, as_row(model, history))
    np.testing.assert_allclose(model.fold_in(history), expected, atol=1e-4)


@given(history=histories)
def test_contributions_sum_to_the_score(model: Model, history: History) -> None:
    scores = model.scores(history)
    contributions = model.contributions(history, model.item_ids)
    assert contributions.shape == (model.size, len(history))
    np.testing.assert_allclose(contributions.sum(axis=1), scores, atol=1e-4)


@given(history=histories, n=st.integers(1, 45))
def test_reasons_sum_to_the_score_they_explain(model: Model, history: History, n: int) -> None:
    if not np.any(history.weights > 0):
        return
    for item in model.recommend(history, n):
        assert item.reason is not None
        total = sum(part.value for part in item.reason.contributions) + item.reason.remainder
        assert total == pytest.approx(item.score, abs=1e-4)


def test_contributions_are_those_of_implicit(model: Model) -> None:
    history = History([10, 30, 50, 70], [3.0, 1.0, -2.0, 0.5])
    total, parts, _ = reference(model).explain(0, as_row(model, history), 20)
    ours = model.contributions(history, [model.item_ids[20]])[0]
    expected = dict(parts)
    for item_id, contribution in zip(history.item_ids, ours, strict=True):
        position = int(model.positions([item_id])[0])
        assert contribution == pytest.approx(expected.get(position, 0.0), abs=1e-5)
    assert ours.sum() == pytest.approx(total, abs=1e-5)


def test_items_that_the_model_does_not_know_change_nothing(model: Model) -> None:
    known = History([10, 30], [3.0, -1.0])
    with_others = History([10, 7, 30, 99_999], [3.0, 2.0, -1.0, 4.0])
    np.testing.assert_array_equal(model.fold_in(known), model.fold_in(with_others))
    assert model.contributions(with_others, [20])[0, [1, 3]].tolist() == [0, 0]


def test_an_empty_history_folds_to_zero(model: Model) -> None:
    assert not model.fold_in(EMPTY_HISTORY).any()


def test_contributions_to_an_unknown_item_are_refused(model: Model) -> None:
    with pytest.raises(UnknownItemError, match="item 7 "):
        model.contributions(History([10], [1.0]), [20, 7])


def test_active_users_with_nearly_equal_items_have_a_solution(make_model: ModelFactory) -> None:
    # 2,000 almost identical items: the system is as ill-conditioned as data can make it.
    generator = np.random.default_rng(0)
    factors = np.ones((2000, 16)) + generator.normal(scale=1e-3, size=(2000, 16))
    model = make_model(factors, regularization=0.01)
    history = History(model.item_ids[:1900], generator.choice(WEIGHTS, 1900))
    scores = model.scores(history)
    assert np.isfinite(scores).all()
