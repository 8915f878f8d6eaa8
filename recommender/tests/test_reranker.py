"""Options and rules choose places among eligible items; at 0 and without rules they have no effect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_recommender import History, Item, Model, Reranker, RerankOptions, Rules
from dataflix_recommender.algorithms.top_k import top_k
from dataflix_recommender.lists.reranker import marginal_relevance, mixed, recency, scaled

from .conftest import build_model

Ask = tuple[np.ndarray, int, np.ndarray]

SIZE = 40
ids = st.integers(0, SIZE - 1)
option = st.sampled_from([0.0, 0.0, 0.2, 0.5, 1.0])
options = st.builds(RerankOptions, diversity=option, freshness=option, popularity=option)
masks = st.lists(st.booleans(), min_size=SIZE, max_size=SIZE).map(np.array)
# Few distinct values, so that ties are common.
score_lists = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 7.0]), min_size=SIZE, max_size=SIZE).map(
    lambda values: np.array(values, dtype=np.float32)
)


asks = st.tuples(score_lists, st.integers(1, 50), masks)
"""What a list is selected from: scores, how many, and which items are allowed."""


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    items = draw(st.lists(ids, unique=True, max_size=12))
    pins = [(draw(st.integers(1, 45)), item) for item in items[:4]]
    boosts = {item: draw(st.sampled_from([0.1, 0.5, 1.0])) for item in items[4:8]}
    return Rules(pins, boosts, items[8:])


def places(items: list[int]) -> dict[int, int]:
    return {item: place for place, item in enumerate(items, start=1)}


@given(asked=asks, options=options, rules=rules())
def test_a_list_is_n_different_items_of_those_allowed(
    model: Model, asked: Ask, options: RerankOptions, rules: Rules
) -> None:
    _, n, allowed = asked
    chosen = Reranker(model.item_features, options, rules).select(*asked).tolist()
    assert len(chosen) == len(set(chosen)) == min(n, np.count_nonzero(allowed))
    assert all(allowed[position] for position in chosen)


@given(scores=score_lists, allowed=masks, n=st.integers(1, 50), rules=rules())
def test_options_at_zero_and_rules_for_items_not_allowed_leave_pure_score(
    model: Model, scores: np.ndarray, allowed: np.ndarray, n: int, rules: Rules
) -> None:
    touched = [at for _, at in rules.pins] + list(rules.boosts) + list(rules.buried)
    allowed[touched] = False
    expected = top_k(scores, n, allowed).tolist()
    neutral = Reranker(model.item_features, RerankOptions(), Rules())
    assert neutral.is_neutral
    assert neutral.select(scores, n, allowed).tolist() == expected
    with_rules = Reranker(model.item_features, RerankOptions(), rules)
    assert with_rules.select(scores, n, allowed).tolist() == expected


@given(scores=score_lists, allowed=masks, n=st.integers(1, 40), options=options)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(
    model: Model, scores: np.ndarray, allowed: np.ndarray, n: int, options: RerankOptions
) -> None:
    reranker = Reranker(model.item_features, options, Rules())
    assert reranker.select(scores, n, allowed).tolist() == reranker.select(scores, SIZE, allowed).tolist()[:n]


@given(asked=asks, options=options, rules=rules())
def test_buried_items_come_after_all_that_are_not_pinned(
    model: Model, asked: Ask, options: RerankOptions, rules: Rules
) -> None:
    chosen = Reranker(model.item_features, options, rules).select(*asked).tolist()
    pinned = {at for _, at in rules.pins}
    is_buried = [at in rules.buried for at in chosen if at not in pinned]
    assert is_buried == sorted(is_buried)


@given(asked=asks, options=options, pin=st.tuples(st.integers(1, 50), ids))
def test_a_pinned_item_has_its_place_within_the_list(
    model: Model, asked: Ask, options: RerankOptions, pin: tuple[int, int]
) -> None:
    scores, n, _ = asked
    place, item = pin
    everything = np.ones(SIZE, dtype=np.bool_)
    chosen = Reranker(model.item_features, options, Rules(pins=[pin])).select(scores, n, everything).tolist()
    if place <= n:
        assert chosen[min(place, SIZE) - 1] == item
    else:
        assert item not in chosen or n >= SIZE


@given(scores=score_lists, item=ids, strength=st.sampled_from([0.1, 0.5, 1.0]))
def test_a_boost_never_lowers_an_item_and_one_of_1_beats_every_score(
    model: Model, scores: np.ndarray, item: int, strength: float
) -> None:
    everything = np.ones(SIZE, dtype=np.bool_)
    before = places(top_k(scores, SIZE, everything).tolist())
    reranker = Reranker(model.item_features, RerankOptions(), Rules(boosts={item: strength}))
    after = places(reranker.select(scores, SIZE, everything).tolist())
    assert after[item] <= before[item]
    if strength == 1.0 and len(set(scores.tolist())) > 1:
        assert all(scores[other] == scores.max() for other in range(SIZE) if after[other] < after[item])


def test_popularity_at_one_ranks_by_popularity_and_freshness_at_one_by_year(model: Model) -> None:
    scores = np.linspace(1, 0, SIZE, dtype=np.float32)
    everything = np.ones(SIZE, dtype=np.bool_)
    by_popularity = Reranker(model.item_features, RerankOptions(popularity=1), Rules())
    popular = by_popularity.select(scores, 10, everything)
    blend = model.item_features.popularity[popular]
    assert np.all(np.diff(blend) <= 0)
    assert blend[0] == model.item_features.popularity.max()
    by_year = Reranker(model.item_features, RerankOptions(freshness=1), Rules())
    fresh = by_year.select(scores, 10, everything)
    years = model.catalogue.release_years[fresh].tolist()
    assert years == sorted(model.catalogue.release_years.tolist(), reverse=True)[:10]


def test_recency_halves_in_ten_years_and_is_0_for_an_unknown_year() -> None:
    found = recency(np.array([2020, 2010, 1990, 0], dtype=np.int16))
    assert found.tolist() == [1.0, 0.5, 0.125, 0.0]
    assert recency(np.zeros(2, dtype=np.int16)).tolist() == [0, 0]


def test_mixing_weights_both_sides(model: Model) -> None:
    scores = np.arange(SIZE, dtype=np.float32)
    everything = np.ones(SIZE, dtype=np.bool_)
    half = mixed(model.item_features, RerankOptions(popularity=0.5), scores, everything)
    expected = 0.5 * scores / (SIZE - 1) + 0.5 * scaled(model.item_features.popularity)
    np.testing.assert_allclose(half, expected, atol=1e-6)


def test_marginal_relevance_is_that_of_the_paper() -> None:
    values = np.array([1.0, 0.9, 0.5, 0.0])
    # The second equals the first, the third is somewhat similar, the last is unlike all.
    vectors = np.array([[1, 0, 0], [1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], dtype=np.float32)
    assert marginal_relevance(values, vectors, 4, 0.0).tolist() == [0, 1, 2, 3]
    # 0.7 * value - 0.3 * similarity: 0.33, 0.17, 0.0, then 0.33 > 0.
    assert marginal_relevance(values, vectors, 4, 0.3).tolist() == [0, 1, 2, 3]
    assert marginal_relevance(values, vectors, 4, 0.5).tolist() == [0, 3, 1, 2]
    assert marginal_relevance(values, vectors, 3, 1.0).tolist() == [0, 3, 2]


def alike_model() -> Model:
    """Twenty items of one genre with the highest scores, twenty of four other genres."""
    genres = ("Action", "Comedy", "Drama", "Horror", "War")
    kinds = [0] * 20 + [1 + number % 4 for number in range(20)]
    factors = np.eye(5)[kinds] * 0.1
    factors[:20] *= 2
    factors[:, 0] += 0.5
    items = [Item(number + 1, f"Item {number}", (genres[kind],)) for number, kind in enumerate(kinds)]
    return build_model(factors, items=items)


def test_diversity_brings_more_genres_the_higher_it_is() -> None:
    model = alike_model()
    history = History([1], [3.0])
    kinds = []
    for diversity in (0.0, 0.5, 1.0):
        reranker = Reranker(model.item_features, RerankOptions(diversity=diversity), Rules())
        listed = model.recommend(history, 10, reranker=reranker)
        rows = model.positions([item.item_id for item in listed])
        kinds.append(len({model.catalogue.genres(int(row)) for row in rows}))
        assert [item.rank for item in listed] == list(range(1, 11))
    assert kinds[0] == 1
    assert kinds == sorted(kinds)
    assert kinds[2] == 5


@given(options=options, rules=rules(), n=st.integers(1, 45))
def test_scores_and_reasons_stay_those_of_the_model(
    model: Model, options: RerankOptions, rules: Rules, n: int
) -> None:
    history = History([10, 30, 50], [3.0, 1.0, -2.0], [5.0, 3.0, 0.5])
    truth = {item.item_id: item for item in model.recommend(history, SIZE)}
    for item in model.recommend(history, n, reranker=Reranker(model.item_features, options, rules)):
        expected = truth[item.item_id]
        assert item.score == expected.score
        assert item.reason is not None
        assert expected.reason is not None
        assert item.reason.text == expected.reason.text
        total = sum(part.value for part in item.reason.contributions) + item.reason.remainder
        assert total == pytest.approx(item.score, abs=1e-4)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", ["diversity", "freshness", "popularity"])
def test_an_option_beyond_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be from 0 to 1"):
        RerankOptions(**{name: value})
