"""A list holds the best eligible items, each once, with a reason."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_recommender import (
    EMPTY_HISTORY,
    ConfidenceWeights,
    Contribution,
    History,
    InvalidHistoryError,
    InvalidModelError,
    Item,
    Model,
    Reason,
    Recommendation,
    UnknownItemError,
)
from dataflix_recommender.algorithms.top_k import top_k

ModelFactory = Callable[..., Model]
Event = tuple[int, float | None, bool | None]

events = st.lists(
    st.tuples(
        st.integers(1, 60).map(lambda n: 10 * n),  # ids above 400 are unknown to the model
        st.sampled_from([None, 0.5, 1.5, 2.5, 3.0, 4.5, 5.0]),
        st.sampled_from([None, True, False]),
    ).filter(lambda event: event[1] is not None or event[2] is None),
    max_size=45,
    unique_by=lambda event: event[0],
)


def reason_of(item: Recommendation) -> Reason:
    assert item.reason is not None
    return item.reason


@given(data=st.data(), size=st.integers(1, 60), k=st.integers(1, 70))
def test_top_k_is_the_beginning_of_a_full_sort(data: st.DataObject, size: int, k: int) -> None:
    # Few distinct values, so that ties at the cut are common.
    scores = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size)), dtype=np.float32)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    expected = sorted((i for i in range(size) if allowed[i]), key=lambda i: (-scores[i], i))[:k]
    assert top_k(scores, k, allowed).tolist() == expected


@given(
    events=events,
    n=st.integers(1, 50),
    exclude=st.sets(st.integers(1, 60).map(lambda n: 10 * n)),
    eligible=st.lists(st.booleans(), min_size=40, max_size=40).map(np.array),
)
def test_a_list_is_the_best_of_the_eligible_items(
    model: Model, events: list[Event], n: int, exclude: set[int], eligible: np.ndarray
) -> None:
    history = History.from_events(events, model.weights)
    found = model.recommend(history, n, exclude=exclude, eligible=eligible)
    left = {
        int(item_id)
        for item_id, may in zip(model.item_ids, eligible, strict=True)
        if may and item_id not in exclude and item_id not in history.item_ids
    }
    listed = [item.item_id for item in found]
    assert len(listed) == len(set(listed)) == min(n, len(left))
    assert set(listed) <= left
    assert [item.rank for item in found] == list(range(1, len(found) + 1))
    scores = [item.score for item in found]
    assert np.isfinite(scores).all()
    assert scores == sorted(scores, reverse=True)
    factor = model.fold_in(history)
    truth = model.scores(history) if factor.any() else model.popularity
    rest = [truth[model.positions([item_id])[0]] for item_id in left - set(listed)]
    assert not rest or not scores or max(rest) <= scores[-1] + 1e-6


def test_a_rating_changes_the_next_list(model: Model) -> None:
    before = [item.item_id for item in model.recommend(History([10, 20], [3.0, 1.0]), 5)]
    liked = before[0]
    after = [item.item_id for item in model.recommend(History([10, 20, liked], [3.0, 1.0, 3.0]), 5)]
    assert liked not in after
    assert after != before[1:]


def test_reasons_name_the_items_that_add_most(make_model: ModelFactory) -> None:
    titles = ["Alien", "Aliens", "Notting Hill", "Predator", "Love Actually"]
    factors = np.array([[1, 0], [0.9, 0], [0, 1], [0.95, 0], [0, 0.9]])
    model = make_model(factors, items=[Item(i, title) for i, title in enumerate(titles, 1)])
    history = History.from_events([(1, 5.0, None), (2, 4.5, None), (3, 3.0, None)], model.weights)
    first, second = model.recommend(history, 2)
    assert first.item_id == 4
    assert reason_of(first).kind == "because_you_rated"
    assert reason_of(first).text == "Because you rated Alien 5★ and Aliens 4.5★"
    assert [item.title for item in reason_of(first).contributions] == ["Alien", "Aliens"]
    assert reason_of(second).text == "Because you rated Notting Hill 3★"
    assert reason_of(first).contributions[0] == Contribution(
        item_id=1, title="Alien", rating=5.0, value=reason_of(first).contributions[0].value
    )


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([(1, None, None)], "Because you watched Alien"),
        ([(1, 4.0, None), (2, None, None)], "Because you rated Alien 4★ and watched Aliens"),
    ],
)
def test_reasons_distinguish_watched_and_rated(
    make_model: ModelFactory, events: list[Event], text: str
) -> None:
    items = [Item(1, "Alien"), Item(2, "Aliens"), Item(3, "Predator")]
    model = make_model(np.array([[1.0], [0.9], [0.8]]), items=items)
    assert reason_of(model.recommend(History.from_events(events, model.weights), 1)[0]).text == text


def test_the_reason_of_an_item_unlike_the_history_is_different(make_model: ModelFactory) -> None:
    items = [Item(1, "Alien"), Item(2, "Opposite")]
    model = make_model(np.array([[1.0], [-1.0]]), items=items)
    (only,) = model.recommend(History([1], [3.0], [5.0]), 5)
    assert reason_of(only).kind == "different"
    assert reason_of(only).contributions == ()


def test_reasons_can_be_left_out(model: Model) -> None:
    assert all(item.reason is None for item in model.recommend(History([10], [1.0]), 5, explain=False))
    assert all(item.reason is None for item in model.recommend(EMPTY_HISTORY, 5, explain=False))


def popular_model(make_model: ModelFactory) -> Model:
    items = [
        Item(1, "Loved", (), None, 329, 4.3, 4.25, 0.0),
        Item(2, "Current", (), None, 5, 3.0, 3.0, 9.0),
        Item(3, "Middling", (), None, 1, 3.0, 3.1, 0.0),
        Item(4, "Unrated", (), None, 0, None, 3.5, 0.0),
        Item(5, "Watched lately", (), None, 0, None, 3.5, 3.0),
    ]
    model: Model = make_model(np.eye(5), items=items)
    return model


def test_an_unknown_user_gets_popular_and_trending_items_with_the_reason(make_model: ModelFactory) -> None:
    found = popular_model(make_model).recommend(EMPTY_HISTORY, 10)
    assert {item.item_id: reason_of(item).text for item in found} == {
        2: "Trending: 3.0 on average from 5 ratings",
        1: "Popular: 4.3 on average from 329 ratings",
        3: "Popular: 3.0 on average from 1 rating",
        5: "Trending: watched lately",
        4: "Not rated yet",
    }
    assert found[-1].item_id == 4


def test_a_user_with_dislikes_only_gets_popular_items_without_them(make_model: ModelFactory) -> None:
    found = popular_model(make_model).recommend(History([1], [-2.0], [0.5]), 10)
    assert found[0].item_id == 2
    assert 1 not in {item.item_id for item in found}
    assert reason_of(found[0]).kind == "trending"


def test_popular_and_trending_leave_out_items_without_ratings_or_trend(make_model: ModelFactory) -> None:
    model = popular_model(make_model)
    assert model.popular(10) == [(1, pytest.approx(4.25)), (3, pytest.approx(3.1)), (2, 3.0)]
    assert model.trending(10) == [(2, 9.0), (5, 3.0)]


def test_similar_is_cosine_without_the_item_itself(make_model: ModelFactory) -> None:
    model = make_model(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 5.0], [0.0, 0.0], [-1.0, 0.0]]))
    similar = model.similar(10, 10)
    assert [item_id for item_id, _ in similar] == [20, 30, 50]
    assert [score for _, score in similar] == pytest.approx([0.5**0.5, 0, -1], abs=1e-6)


def test_an_item_without_factors_has_no_neighbours(make_model: ModelFactory) -> None:
    model = make_model(np.array([[1.0], [0.0]]))
    assert model.similar(20, 5) == []
    assert model.similar(10, 5) == []
    with pytest.raises(UnknownItemError, match="item 11 "):
        model.similar(11, 5)


@pytest.mark.parametrize("n", [0, -1])
def test_a_list_of_less_than_one_is_refused(model: Model, n: int) -> None:
    for call in (
        lambda: model.recommend(EMPTY_HISTORY, n),
        lambda: model.popular(n),
        lambda: model.similar(10, n),
    ):
        with pytest.raises(ValueError, match="at least 1"):
            call()


@pytest.mark.parametrize("mask", [np.ones(3, dtype=bool), np.ones(40)])
def test_a_mask_of_another_shape_or_type_is_refused(model: Model, mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="eligible must be"):
        model.recommend(EMPTY_HISTORY, 5, eligible=mask)


def test_impossible_histories_are_refused(weights: ConfidenceWeights) -> None:
    with pytest.raises(InvalidHistoryError, match="item 3 occurs twice"):
        History([3, 4, 3], [1, 1, 1])
    with pytest.raises(InvalidHistoryError, match="one length"):
        History([3, 4], [1])
    for weight in (0, np.nan, np.inf):
        with pytest.raises(InvalidHistoryError, match="item 4 has weight"):
            History([3, 4], [1, weight])
    for rating in (0.0, 5.5, 3.3, -1.0, float("inf")):
        for liked in (True, None):
            with pytest.raises(InvalidHistoryError, match="half steps"):
                History.from_events([(1, rating, liked)], weights)


@pytest.mark.parametrize(
    ("rating", "liked", "weight"),
    [
        (None, None, 0.5),
        (5.0, None, 3.0),
        (2.5, None, 0.25),
        (0.5, None, -2.0),
        (1.0, True, 1.0),
        (5.0, False, -0.5),
    ],
)
def test_weights_are_looked_up(
    weights: ConfidenceWeights, rating: float | None, liked: bool | None, weight: float
) -> None:
    assert weights.weight(rating, liked) == weight


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(3.0, "unknown", 0.0)],
        [(3.0, "unknown", float("nan"))],
        [(3.3, "unknown", 1.0)],
        [(3.0, "perhaps", 1.0)],
        [(3.0, "liked", 1.0), (3.0, "liked", 2.0)],
    ],
)
def test_unusable_weights_are_refused(rows: list[tuple[float, str, float]]) -> None:
    with pytest.raises(InvalidModelError):
        ConfidenceWeights.from_rows(rows)
