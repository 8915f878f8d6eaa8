"""What the ratings of a file mean: scales, thumbs, counts, and what cannot be understood."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dataflix_trainer import cli
from dataflix_trainer.data.rating_scale import RatingScale
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.errors import DataError


def stars(values: list[float], scale: str | None = None) -> list[float]:
    array = np.array(values, dtype=np.float32)
    found = RatingScale.recognise(array) if scale is None else RatingScale.parse(scale)
    mapped: list[float] = found.stars(array).tolist()
    return mapped


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 3.5, 5], [0.5, 3.5, 5]),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ([0, 2.5, 5], [0.5, 3, 5]),
        ([1, 5, 8, 10], [0.5, 2.5, 4, 5]),
        ([0, 5, 10], [0.5, 3, 5]),
        ([-10, 0, 9.8], [0.5, 3, 5]),
        ([1, 80, 100], [0.5, 4, 5]),
        ([0, 1, 1], [1.5, 4, 4]),
        ([-1, 1], [1.5, 4]),
    ],
)
def test_usual_scales_are_recognised(values: list[float], expected: list[float]) -> None:
    assert stars(values) == expected


def test_a_scale_that_is_named_is_taken() -> None:
    assert stars([1, 2, 3], "1:3") == [1.5, 3.5, 5]
    assert stars([3, 4], "0:5") == [3, 4]
    assert stars([0, 1], "thumbs") == [1.5, 4]


@given(
    st.sampled_from(["0.5:5", "0:10", "1:10", "-10:10", "0:100"]),
    st.lists(st.floats(0, 1, width=32), min_size=2),
)
def test_more_is_never_fewer_stars(scale: str, places: list[float]) -> None:
    ends = RatingScale.parse(scale)
    values = ends.low + np.sort(np.array(places)) * (ends.high - ends.low)
    mapped = ends.stars(np.clip(values, ends.low, ends.high).astype(np.float32))
    assert (np.diff(mapped) >= 0).all()
    assert set((mapped * 2).tolist()) <= set(range(1, 11))


@pytest.mark.parametrize(
    ("values", "scale", "message"),
    [
        ([*[4.0] * 200, 6.0], None, "1 of 201 ratings are off the scale .0.5 to 5., the first is 6"),
        ([1, 1, 1], None, "every rating is 1, which is no opinion"),
        ([3, 12], "1:10", "1 of 2 ratings are off the scale"),
        ([0, 0.5], "thumbs", "off the scale .thumbs."),
        ([-500, 3], None, "fit no usual scale; name it"),
        ([1], "5:1", "no room for an opinion"),
        ([1], "nan:1", "no room for an opinion"),
        ([1], "1-10", "is no scale: write LOW:HIGH"),
    ],
)
def test_what_cannot_be_understood_is_refused(values: list[float], scale: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        stars(values, scale)


def table(path: Path, **columns: object) -> Path:
    frame = pd.DataFrame({"user": [1, 1, 1, 2], "item": [7, 8, 7, 8], "time": [10, 20, 30, 40]} | columns)
    frame.to_csv(path, index=False)
    return path


def test_counts_of_events_add_up(tmp_path: Path) -> None:
    ratings = read_ratings(table(tmp_path / "plays.csv", plays=[1, 7, 2, 1]))
    assert ratings.weights.tolist() == [2, 3, 1]
    assert np.isnan(ratings.stars).all()
    assert ratings.times.tolist() == [30_000_000, 20_000_000, 40_000_000]
    assert ratings.at_least(4).all()
    assert (ratings.facts["scale"], ratings.facts["events"]) == ("none", 4)


def test_events_without_counts_count_one_each(tmp_path: Path) -> None:
    assert read_ratings(table(tmp_path / "bought.csv")).weights.tolist() == pytest.approx([np.log2(3), 1, 1])


def test_a_count_beside_a_rating_changes_nothing(tmp_path: Path) -> None:
    path = table(tmp_path / "both.csv", rating=[4, 3, 5, 2], views=[9, 9, 9, 9])
    assert read_ratings(path).stars.tolist() == [5, 3, 2]


@pytest.mark.parametrize("plays", [[1, 0, 1, 1], [1, -2, 1, 1], [1, float("inf"), 1, 1]])
def test_counts_that_are_none_are_refused(tmp_path: Path, plays: list[float]) -> None:
    with pytest.raises(DataError, match="a count must be above 0"):
        read_ratings(table(tmp_path / "plays.csv", plays=plays))


def test_a_scale_for_events_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ratings that --scale could explain"):
        read_ratings(table(tmp_path / "bought.csv"), RatingScale.parse("1:10"))


@pytest.mark.parametrize(
    ("column", "words", "scale"),
    [("rating", ["--scale", "0:10"], "0 to 10"), ("rating", [], "0 to 10"), ("plays", [], "none")],
)
def test_models_are_measured_on_any_scale(tmp_path: Path, column: str, words: list[str], scale: str) -> None:
    generator = np.random.default_rng(4)
    user, item = np.nonzero(generator.random((60, 40)) < 0.5)
    likes = np.where(user % 2 == item % 2, 10, 4)
    values = likes if column == "plays" else np.where(generator.random(len(user)) < 0.2, 0, likes)
    frame = pd.DataFrame({"user": user, "item": item, column: values, "time": user * 50 + item})
    frame.to_csv(tmp_path / "events.csv", index=False)
    command = [
        "evaluate",
        "--ratings",
        str(tmp_path / "events.csv"),
        "--protocol",
        "strong",
        "--k=5",
        "--json",
    ]
    result = CliRunner().invoke(cli.main, [*command, *words], catch_exceptions=False)
    report = json.loads(result.stdout)
    assert report["data"]["scale"] == scale
    assert all(model["metrics"]["ndcg@5"]["mean"] > 0 for model in report["models"])


def test_a_scale_that_the_ratings_break_ends_in_one_sentence(tmp_path: Path) -> None:
    path = table(tmp_path / "ratings.csv", rating=[4, 3, 5, 11])
    words = ["evaluate", "--ratings", str(path), "--protocol", "random", "--scale", "1:10"]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 4
    assert "1 of 4 ratings are off the scale (1 to 10), the first is 11" in result.stderr
    refused = CliRunner().invoke(cli.main, [*words[:-1], "ten"])
    assert refused.exit_code == 2
    assert "is no scale" in refused.stderr
