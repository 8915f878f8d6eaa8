"""Lists that are made without scoring every item are those of all scores, to the bit."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random_array

from dataflix_recommender import (
    History,
    ItemItemWeights,
    Model,
    RecentPopularity,
    Reranker,
    RerankOptions,
    Rules,
    UserProfile,
)
from dataflix_recommender.algorithms.top_k import top_k

ModelFactory = Callable[..., Model]

ITEMS, WIDTH = 900, 32


def catalogue(
    make_model: ModelFactory,
    seed: int,
    *,
    decay: float,
    item_item: bool,
    scale: float = 1.0,
    regularization: float = 0.5,
) -> Model:
    """Dimension ``d`` has ``decay ** d`` of the size of the first. A third are copies, some are 0."""
    rng = np.random.default_rng(seed)
    factors = scale * rng.normal(size=(ITEMS, WIDTH)) * decay ** np.arange(WIDTH)
    # Rotated: trained factors do not lie along the axes either.
    factors = (factors @ np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]).astype(np.float32)
    factors[rng.permutation(ITEMS)[:300]] = factors[rng.integers(0, ITEMS, 300)]
    factors[rng.permutation(ITEMS)[:30]] = 0
    model = make_model(factors, regularization=regularization)
    if not item_item:
        return model
    matrix = csr_matrix(random_array((ITEMS, ITEMS), density=0.02, rng=rng, dtype=np.float32))
    recent = RecentPopularity(rng.beta(0.3, 2.0, ITEMS).astype(np.float32), 0.1 * scale, 0.0, 0)
    info = replace(model.info, item_item_slope=0.2)
    return Model(
        info,
        model.item_ids,
        factors,
        model.catalogue,
        model.weights,
        item_item_weights=ItemItemWeights.from_matrix(matrix, slope=0.2),
        recent_popularity=recent,
    )


def with_all_scores(
    model: Model, history: History, n: int, eligible: NDArray[np.bool_]
) -> list[tuple[int, float]]:
    scores = model.user_profile(history).scores
    best = top_k(scores, n, eligible)
    return list(zip(model.item_ids[best].tolist(), scores[best].tolist(), strict=True))


class ScoresAll(Reranker):
    """A reranker that changes nothing and still needs the scores of all items."""

    @property
    def is_neutral(self) -> bool:
        return False


@given(
    seed=st.integers(0, 10_000),
    decay=st.sampled_from([0.5, 0.8, 1.0]),
    item_item=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
    regularization=st.sampled_from([0.5, 300.0]),
    events=st.integers(1, 40),
    n=st.sampled_from([1, 3, 10, 30, 100, ITEMS + 1]),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
@settings(max_examples=120)
def test_a_list_is_the_same_as_from_all_scores(
    make_model: ModelFactory,
    *,
    seed: int,
    decay: float,
    item_item: bool,
    scale: float,
    regularization: float,
    events: int,
    n: int,
    share: float,
) -> None:
    model = catalogue(
        make_model, seed, decay=decay, item_item=item_item, scale=scale, regularization=regularization
    )
    rng = np.random.default_rng(seed)
    items = rng.permutation(ITEMS)[:events]
    history = History(model.item_ids[items], rng.choice([-1.5, 0.5, 1.0, 3.0], events))
    passing = rng.random(ITEMS) < share
    profile = model.user_profile(history)
    found = profile.recommend(n, profile.eligible((), passing))
    if profile.folded.factors.any():
        wanted = with_all_scores(model, history, n, profile.eligible((), passing))
        assert [(item.item_id, item.score) for item in found] == wanted
    # The score of an item is the same in both cases.
    again = model.user_profile(history)
    reranker = ScoresAll(model.item_features, RerankOptions(), Rules())
    assert again.recommend(n, again.eligible((), passing), reranker=reranker) == found


@pytest.mark.parametrize("item_item", [False, True])
def test_few_items_are_scored_where_few_dimensions_lead(
    make_model: ModelFactory, monkeypatch: pytest.MonkeyPatch, *, item_item: bool
) -> None:
    # Without a ridge, fold-in would make the user's factors large where those of the items are small.
    model = catalogue(make_model, 3, decay=0.5, item_item=item_item, regularization=300.0)
    history = History(model.item_ids[[5, 50, 500]], [3.0, 1.0, 2.0])
    asked: list[int] = []
    scored = UserProfile._score

    def counted(self: UserProfile, positions: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        scores = scored(self, positions)
        asked.append(len(scores))
        return scores

    monkeypatch.setattr(UserProfile, "_score", counted)
    assert len(model.recommend(history, 10)) == 10
    assert sum(asked) < ITEMS / 4


def test_scores_of_some_items_are_those_of_all(make_model: ModelFactory) -> None:
    model = catalogue(make_model, 4, decay=0.8, item_item=True)
    profile = model.user_profile(History(model.item_ids[[1, 2, 3]], [3.0, 1.0, 2.0]))
    for positions in (np.array([7]), np.arange(11, 400, 3), np.random.default_rng(1).permutation(ITEMS)):
        assert profile._score(positions).tobytes() == profile.scores[positions].tobytes()
