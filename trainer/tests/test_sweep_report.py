"""``trainer report``: curves, drawn the same each time."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dataflix_trainer import cli
from dataflix_trainer.evaluation import sweep_report as report
from dataflix_trainer.evaluation.protocols import PROTOCOLS


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 users, 40 items, one user after the other."""
    generator = np.random.default_rng(2)
    user, item = np.nonzero(generator.random((60, 40)) < 0.6)
    frame = pd.DataFrame(
        {
            "user": user,
            "item": item,
            "rating": generator.choice([3.5, 4, 5], len(user)),
            "timestamp": user * 50 + generator.integers(0, 600, len(user)),
        }
    )
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    frame.to_csv(path, index=False)
    return path


def test_plots_and_figures_are_drawn_the_same_each_time(
    ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SWEEPS", {"factors": (4, 8), "regularization_scale": (0.5,)})
    monkeypatch.setattr(report, "PROTOCOLS", {"strong": PROTOCOLS["strong"]})
    for name in ("one", "two"):
        words = ["report", "--ratings", str(ratings), "--out", str(tmp_path / name)]
        result = CliRunner().invoke(cli.main, words, catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
    figures = json.loads((tmp_path / "one" / "figures.json").read_text())
    drawn = [(tmp_path / name / "strong.svg").read_bytes() for name in ("one", "two")]
    assert drawn[0] == drawn[1]
    assert ElementTree.fromstring(drawn[0]).tag.endswith("svg")
    assert b"regularization" in drawn[0]
    curves = figures["strong"]["curves"]
    assert [point["at"] for point in curves["factors"]["als"]] == [4, 8]
    for point in curves["regularization_scale"]["als"]:
        assert 0 <= point["low"] <= point["mean"] <= point["high"] <= 1
    assert set(figures["strong"]["levels"]) == {"ease", "popular"}


def test_without_matplotlib_it_says_what_is_missing(
    ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["report", "--ratings", str(ratings), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 1
    assert "plots need matplotlib" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_an_error(ratings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ["report", "--ratings", str(ratings), "--out", str(tmp_path / "file" / "out"), "--json"]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 6
    assert "can't be created" in json.loads(result.stdout)["error"]
