"""Curves: what is fitted, what follows from it, and how it is told. One run on tiny data."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.curves import Curve, Point
from benchkit.growth import Found, Step
from benchkit.outlook import BEGIN, END, markdown, written
from benchkit.plot import plot_curves
from scaling import Growing

FOLDER = Path(__file__).parents[1]
SIZES = (100_000, 1_000_000, 10_000_000)
WHERE = {
    "cpu": "a processor",
    "cores": 2,
    "memory_gb": 20.0,
    "date": "2026-01-01",
    "commit": "abc",
    "load_average": 0.1,
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "scaling.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def curve(*values: float, figure: str = "time", unit: str = "s") -> Curve:
    points = [Point(size, (value,)) for size, value in zip(SIZES, values, strict=False)]
    return Curve("load", figure, "ratings", unit, points)


@given(st.floats(0.2, 3), st.floats(0.001, 1000), st.integers(1, 4))
@settings(max_examples=30)
def test_a_power_is_found_again(exponent: float, factor: float, runs: int) -> None:
    points = [Point(size, (factor * size**exponent,) * runs) for size in SIZES]

    fit = Curve("a", "time", "ratings", "s", points).fit()

    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.exponent == pytest.approx(exponent)
    assert fit.low <= exponent + 1e-6
    assert fit.high >= exponent - 1e-6


def test_runs_that_differ_widen_the_interval_around_the_exponent() -> None:
    rng = np.random.default_rng(1)
    points = [Point(size, tuple(size * rng.lognormal(0, 0.2, 5))) for size in SIZES]

    fit = Curve("a", "time", "ratings", "s", points).fit()

    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.low < 1 < fit.high
    assert fit.high - fit.low > 0.02


def test_a_fixed_cost_is_kept_out_of_what_is_said_of_larger_data() -> None:
    # Ten seconds to start, then a second for each million.
    slow_start = curve(10.1, 11.0, 20.0)

    whole, upper = slow_start.fit(), slow_start.upper_fit()
    reached = slow_start.reaches(100_000_000)

    assert whole is not None
    assert upper is not None
    assert upper.since == 1_000_000
    assert whole.exponent < upper.exponent == pytest.approx(np.log10(20 / 11))
    assert reached == pytest.approx((20 * 20 / 11,) * 3)


def test_one_size_alone_has_no_exponent() -> None:
    lonely = curve(3.0)

    assert lonely.fit() is None
    assert lonely.reaches(10) is None
    assert lonely.to_dict()["fit"] is None


def test_a_curve_survives_the_json() -> None:
    known = curve(1.0, 9.0, 100.0)

    assert Curve.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_the_arithmetic_leads_from_the_largest_size_to_the_large_number() -> None:
    served = Curve("serving", "time per request", "films", "ms", [Point(20_000, (2.0,))])

    text = markdown(WHERE, [curve(0.4, 4, 40), curve(20, 200, 2_000, figure="memory", unit="MB"), served])

    # 40 s at ten million; linear, so a hundred times as much: 1.11 h, which two cores do in four hours.
    row = "| load: time | 40 s at 10,000,000 | 100 | 1.00 | 1.11 h | 1.11 h | 1 cores, if all of it divides |"
    assert row in text
    row = "| load: memory | 2,000 MB at 10,000,000 | 100 | 1.00 | 200 GB | 200 GB | 10 times this memory |"
    assert row in text
    # Two milliseconds are 500 a second from two cores: 200 times that, and four connections a worker.
    assert "| 20,000 | 500 | 400 | 400 | 1,600 |" in text


def test_a_curve_that_fixed_costs_flatten_asks_for_no_less_than_in_proportion() -> None:
    text = markdown(WHERE, [curve(4_000, 4_000, 4_000, figure="memory", unit="MB")])

    row = "| load: memory | 4,000 MB at 10,000,000 | 100 | 0.00 | 4 GB | 400 GB | 20 times this memory |"
    assert row in text


def test_figures_stand_between_the_marks_of_a_document_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / "other.md").write_text("no marks")

    written(document, "new")

    assert document.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="has no lines"):
        written(tmp_path / "other.md", "new")


def test_the_page_on_scaling_has_a_place_for_the_figures() -> None:
    text = (FOLDER.parent / "docs" / "scaling.md").read_text()

    assert 0 < text.index(BEGIN) < text.index(END)


def test_curves_are_drawn(tmp_path: Path) -> None:
    plot_curves([curve(1, 9, 100), curve(3.0, figure="memory", unit="MB")], tmp_path / "curves.svg")

    assert (tmp_path / "curves.svg").stat().st_size > 1000


def test_steps_grow_and_are_told(tmp_path: Path) -> None:
    out, document = tmp_path / "curves.json", tmp_path / "doc.md"
    document.write_text(f"{BEGIN}\n{END}\n")

    # Most others need dbt, MLflow or the API, whose start takes longer than all that is tested here.
    done = run("--size", "tiny", "--only", "load,batch", "--json", str(out), "--markdown", str(document))

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(out.read_text())
    assert told["failed"] == told["left_out"] == []
    names = {(one["work"], one["figure"]) for one in told["curves"]}
    assert {(work, figure) for work in ("load", "batch") for figure in ("time", "memory")} <= names
    for one in told["curves"]:
        sizes = [point["at"] for point in one["points"]]
        assert len(sizes) == 2
        assert sizes == sorted(sizes)
        assert all(run > 0 for point in one["points"] for run in point["runs"])
        assert f"{one['work']}: {one['figure']}" in document.read_text()
    again = run("--from", str(out))
    assert again.returncode == 0, again.stderr
    assert "batch: memory" in again.stdout


def test_a_step_that_fails_is_told_of_and_the_others_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: Any, options: Any) -> Found:
        raise RuntimeError("no disk is left")

    out = tmp_path / "curves.json"
    growing = Growing(WHERE, out)

    for size in (100, 200):
        for step in (Step("load", "ratings", broken), Step("dbt", "ratings", one_megabyte_each)):
            growing.measure(step, size, size, Namespace())

    told = json.loads(out.read_text())
    # A size above one that failed is not tried.
    assert told["failed"] == ["load at 100 ratings"]
    assert [(one["work"], len(one["points"])) for one in told["curves"]] == [("dbt", 2)]
    assert "no disk is left" in capsys.readouterr().err


def test_a_size_that_memory_would_not_do_for_is_left_out(tmp_path: Path) -> None:
    growing = Growing(WHERE, tmp_path / "curves.json")

    # As much as a thousand machines have, by the two sizes before.
    for size in (100, 200, 10**12):
        growing.measure(Step("dbt", "ratings", one_megabyte_each), size, size, Namespace())

    assert growing.left_out == ["dbt at 1,000,000,000,000 ratings"]
    assert growing.failed == []
    assert [point.at for point in growing.curves[0].points] == [100, 200]


def one_megabyte_each(data: int, options: Namespace) -> Found:
    return {"memory": [float(data)]}


def test_an_unknown_step_is_refused() -> None:
    done = run("--only", "load,nothing")

    assert done.returncode == 2
    assert "no such step: nothing" in done.stderr
