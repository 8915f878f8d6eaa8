"""Traps of the ``implicit`` library that our callers must not fall into.

There are twelve in version 0.7.3. The tests below show that ours does not have them;
trainer/tests/test_implicit_traps.py has those of fitting.

 1. seen items fill up a list, score -3.4e38:
    test_seen_items_do_not_fill_up_a_list_when_few_are_left
 2. a list longer than the catalogue is padded:
    test_a_list_longer_than_the_catalogue_is_not_padded
 3. fitting one object twice crashes or gives NaN: the trainer's
 4. user -1 is the last user, an unknown one an IndexError:
    test_negative_ids_are_not_positions_from_the_end
 5. csr_array is refused: test_both_kinds_of_sparse_rows_are_ranked_as_single_users_are
 6. explicit zeros count as seen: test_an_explicit_zero_is_refused_instead_of_counting_as_seen
 7. an empty row gives zeros in arbitrary order: test_an_empty_user_gets_an_ordered_list_with_scores
 8. RandomState raises, a Generator's model cannot be loaded: the trainer's
 9. no items raise, two filters exclude each other:
    test_nothing_eligible_gives_nothing_and_both_kinds_of_filter_go_together
10. the public class is a factory without load: test_a_saved_model_is_loaded_without_the_library
11. explaining needs the whole matrix: test_an_explanation_needs_the_history_of_one_user_only
12. the first user waits for the Gram matrix, BLAS threads double the time:
    test_the_gram_matrix_is_stored_so_that_no_user_waits_for_it, test_blas_threads_are_limited_in_code
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_info

from dataflix_recommender import (
    EMPTY_HISTORY,
    NO_ITEM,
    BatchRanker,
    History,
    InvalidHistoryError,
    Model,
    UnknownItemError,
)


def all_but(model: Model, left: int) -> History:
    """A history of every item except the last ``left``."""
    ids = model.item_ids[: model.size - left]
    return History(ids, np.ones(len(ids)))


def test_seen_items_do_not_fill_up_a_list_when_few_are_left(model: Model) -> None:
    found = model.recommend(all_but(model, 3), 10)
    assert {item.item_id for item in found} == set(model.item_ids[-3:].tolist())
    assert min(item.score for item in found) > -1e6
    assert model.recommend(all_but(model, 0), 10) == []


def test_a_list_longer_than_the_catalogue_is_not_padded(model: Model) -> None:
    found = model.recommend(History([400], [1.0]), 10_000)
    assert len(found) == model.size - 1
    assert len({item.item_id for item in found}) == model.size - 1


def test_many_users_get_neither_padding_nor_seen_items(model: Model) -> None:
    rows = np.zeros((3, model.size), dtype=np.float32)
    rows[0, :38] = 1
    rows[1, :] = 1
    ranked, scores = BatchRanker(model).recommend(csr_matrix(rows), 5)
    assert set(ranked[0, :2]) == {38, 39}
    assert (ranked[0, 2:] == NO_ITEM).all()
    assert (ranked[1] == NO_ITEM).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", [csr_matrix, csr_array])
def test_both_kinds_of_sparse_rows_are_ranked_as_single_users_are(model: Model, kind: type) -> None:
    generator = np.random.default_rng(1)
    rows = np.where(generator.random((25, model.size)) < 0.2, generator.choice([-1.5, 0.25, 3], (25, 40)), 0)
    rows[7] = 0
    rows[8] = -np.abs(rows[9])
    ranked, _ = BatchRanker(model).recommend(kind(rows.astype(np.float32)), 6)
    for row, places in zip(rows, ranked, strict=True):
        seen = np.flatnonzero(row)
        alone = model.recommend(History(model.item_ids[seen], row[seen]), 6, explain=False)
        assert model.item_ids[places].tolist() == [item.item_id for item in alone]


def test_an_explicit_zero_is_refused_instead_of_counting_as_seen(model: Model) -> None:
    stored_zero = csr_matrix(([1.0, 0.0], [2, 3], [0, 2]), shape=(1, model.size))
    with pytest.raises(InvalidHistoryError, match="explicit zero"):
        BatchRanker(model).recommend(stored_zero, 5)


def test_an_empty_user_gets_an_ordered_list_with_scores(model: Model) -> None:
    found = model.recommend(EMPTY_HISTORY, 10)
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    ranked, _ = BatchRanker(model).recommend(csr_matrix((1, model.size), dtype=np.float32), 10)
    assert model.item_ids[ranked[0]].tolist() == [item.item_id for item in found]


def test_nothing_eligible_gives_nothing_and_both_kinds_of_filter_go_together(model: Model) -> None:
    history = History([10], [1.0])
    assert model.recommend(history, 5, eligible=np.zeros(model.size, dtype=bool)) == []
    some = model.item_ids <= 50
    found = model.recommend(history, 5, eligible=some, exclude=[20, 30])
    assert {item.item_id for item in found} == {40, 50}


@pytest.mark.parametrize("item_id", [-1, 0, -400, 401, 2**62, -(2**62)])
def test_negative_ids_are_not_positions_from_the_end(model: Model, item_id: int) -> None:
    history = History([10, item_id], [1.0, 3.0])
    assert model.recommend(history, 5) == model.recommend(History([10], [1.0]), 5)
    assert model.recommend(history, 5, exclude=[item_id]) == model.recommend(history, 5)
    for ask in (lambda: model.similar(item_id, 3), lambda: model.contributions(history, [item_id])):
        with pytest.raises(UnknownItemError, match=f"item {item_id} "):
            ask()


def test_a_saved_model_is_loaded_without_the_library(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "artifact")
    code = (
        "import sys; from pathlib import Path; from dataflix_recommender import History, Model; "
        "found = Model.load(Path(sys.argv[1])).recommend(History([10], [1.0]), 3); "
        "print(*(item.item_id for item in found), 'implicit' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "artifact"], capture_output=True, text=True, check=True
    )
    expected = [str(item.item_id) for item in model.recommend(History([10], [1.0]), 3)]
    assert process.stdout.split() == [*expected, "False"]


def test_an_explanation_needs_the_history_of_one_user_only(model: Model) -> None:
    assert model.contributions(History([10, 20], [1.0, 2.0]), [30]).shape == (1, 2)


def test_blas_threads_are_limited_in_code() -> None:
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


def test_the_gram_matrix_is_stored_so_that_no_user_waits_for_it(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "artifact")
    loaded = Model.load(tmp_path / "artifact")
    np.testing.assert_array_equal(loaded.gram, np.load(tmp_path / "artifact" / "gram.npy"))
    np.testing.assert_allclose(loaded.gram, loaded.item_factors.T @ loaded.item_factors, rtol=1e-4)
