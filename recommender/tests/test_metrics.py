"""Ranking metrics, against their definitions written out one user at a time."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from dataflix_recommender import NO_ITEM, metrics, top_k_rows

ITEMS = 12


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, csr_matrix, int]:
    users, places = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    ranked = np.full((users, places), NO_ITEM)
    targets = np.zeros((users, ITEMS))
    for user in range(users):
        length = draw(st.integers(0, places))
        ranked[user, :length] = draw(st.permutations(range(ITEMS)))[:length]
        targets[user, draw(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=ITEMS))] = 0.25
    return ranked, csr_matrix(targets), draw(st.integers(1, 10))


@given(rankings())
def test_metrics_are_what_their_definitions_say(case: tuple[np.ndarray, csr_matrix, int]) -> None:
    ranked, targets, k = case
    hits, relevant = metrics.hits_in(ranked, targets), metrics.relevant_in(targets)
    found = {
        "ndcg": metrics.ndcg_at_k(hits, relevant, k),
        "recall": metrics.recall_at_k(hits, relevant, k),
        "truncated": metrics.truncated_recall_at_k(hits, relevant, k),
        "precision": metrics.precision_at_k(hits, k),
        "map": metrics.average_precision_at_k(hits, relevant, k),
        "mrr": metrics.reciprocal_rank_at_k(hits, k),
        "hit": metrics.hit_rate_at_k(hits, k),
    }
    for user, row in enumerate(ranked):
        wanted = set(targets[user].indices)
        ranks = [rank for rank, item in enumerate(row[:k], 1) if item in wanted]
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
        expected = {
            "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
            "recall": len(ranks) / len(wanted),
            "truncated": len(ranks) / min(k, len(wanted)),
            "precision": len(ranks) / k,
            "map": sum(i / rank for i, rank in enumerate(ranks, 1)) / min(k, len(wanted)),
            "mrr": 1 / ranks[0] if ranks else 0,
            "hit": 1 if ranks else 0,
        }
        for name, value in expected.items():
            assert found[name][user] == pytest.approx(value), name
            assert 0 <= found[name][user] <= 1 + 1e-12


def test_a_perfect_ranking_has_ndcg_one() -> None:
    targets = csr_matrix(np.eye(3)[[0, 1]])
    ranked, _ = top_k_rows(np.array([[9, 1, 2], [1, 9, 2]], dtype=np.float32), csr_matrix((2, 3)), 3)
    assert metrics.ndcg_at_k(metrics.hits_in(ranked, targets), metrics.relevant_in(targets), 3).tolist() == [
        1,
        1,
    ]


def test_users_without_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one held-out item"):
        metrics.relevant_in(csr_matrix((2, ITEMS)))


def test_coverage_counts_distinct_items_and_no_padding() -> None:
    ranked = np.array([[1, 2, NO_ITEM], [2, 3, NO_ITEM]])
    assert metrics.coverage_at_k(ranked, 10, 3) == 0.3
    assert metrics.coverage_at_k(ranked, 10, 1) == 0.2


def test_an_interval_holds_the_mean_narrows_with_users_and_repeats() -> None:
    values = np.random.default_rng(2).random(4000)
    mean, low, high = metrics.bootstrap_interval(values, seed=1)
    assert low < mean < high
    # The theory: 1.96 standard errors to each side.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(4000), rel=0.15)
    assert metrics.bootstrap_interval(values, seed=1) == (mean, low, high)
    _, low_few, high_few = metrics.bootstrap_interval(values[:40], seed=1)
    assert high_few - low_few > 3 * (high - low)
    with pytest.raises(ValueError, match="at least one user"):
        metrics.bootstrap_interval(values[:0], seed=1)


def test_all_columns_share_the_draws() -> None:
    values = np.random.default_rng(2).random((50, 3))
    means, lows, highs = metrics.bootstrap_intervals(values, seed=4)
    for column in range(3):
        alone = metrics.bootstrap_interval(values[:, column], seed=4)
        assert (means[column], lows[column], highs[column]) == pytest.approx(alone)


@given(rankings())
def test_novelty_is_the_mean_surprise(case: tuple[np.ndarray, csr_matrix, int]) -> None:
    ranked, _, k = case
    users, counts = 20, np.arange(ITEMS)
    found = metrics.novelty_at_k(ranked, counts, users, k)
    for user, row in enumerate(ranked):
        listed = [item for item in row[:k] if item != NO_ITEM]
        bits = [-math.log2((counts[item] + 1) / (users + 1)) for item in listed]
        assert found[user] == pytest.approx(sum(bits) / len(bits) if bits else 0)
        assert 0 <= found[user] <= math.log2(users + 1)


@given(rankings())
def test_diversity_is_one_minus_the_mean_cosine_of_pairs(case: tuple[np.ndarray, csr_matrix, int]) -> None:
    ranked, _, k = case
    vectors = np.random.default_rng(3).normal(size=(ITEMS, 4))
    vectors[2] = 0  # like no other
    found = metrics.diversity_at_k(ranked, vectors, k)
    for user, row in enumerate(ranked):
        listed = [item for item in row[:k] if item != NO_ITEM]
        pairs = list(itertools.combinations(listed, 2))
        cosines = [
            0.0
            if 2 in pair
            else vectors[pair[0]]
            @ vectors[pair[1]]
            / np.prod([np.linalg.norm(vectors[item]) for item in pair])
            for pair in pairs
        ]
        assert found[user] == pytest.approx(1 - np.mean(cosines) if pairs else 0)


def test_a_list_of_equal_vectors_has_no_diversity() -> None:
    ranked = np.array([[0, 1, 2]])
    assert metrics.diversity_at_k(ranked, np.ones((3, 2)), 3).tolist() == pytest.approx([0])
    assert metrics.diversity_at_k(ranked, np.eye(3), 3).tolist() == pytest.approx([1])


@given(rankings())
def test_gini_is_the_mean_difference_of_exposures(case: tuple[np.ndarray, csr_matrix, int]) -> None:
    ranked, _, k = case
    shown = [sum(item in row[:k] for row in ranked) for item in range(ITEMS)]
    differences = sum(abs(one - other) for one in shown for other in shown)
    expected = differences / (2 * ITEMS * sum(shown)) if sum(shown) else 0
    assert metrics.gini_at_k(ranked, ITEMS, k) == pytest.approx(expected)


def test_gini_at_its_ends() -> None:
    assert metrics.gini_at_k(np.array([[0], [1], [2], [3]]), 4, 1) == pytest.approx(0)
    assert metrics.gini_at_k(np.array([[3], [3], [3]]), 4, 1) == pytest.approx(0.75)


def test_intervals_of_all_lists_together_hold_the_value_and_narrow_with_users() -> None:
    generator = np.random.default_rng(1)
    chance = 1 / np.arange(1, 201)
    ranked = np.array(
        [generator.choice(200, 10, replace=False, p=chance / chance.sum()) for _ in range(2000)]
    )
    for name in metrics.OVERALL:
        value, low, high = metrics.overall_interval(name, ranked, 200, 10, seed=1)
        assert low < value < high or (name == "coverage" and value == 1)
        _, low_few, high_few = metrics.overall_interval(name, ranked[:50], 200, 10, seed=1)
        assert high_few - low_few > high - low
        assert (value, low, high) == metrics.overall_interval(name, ranked, 200, 10, seed=1)
    assert metrics.overall_interval("coverage", ranked, 200, 10, seed=1)[0] == metrics.coverage_at_k(
        ranked, 200, 10
    )
