"""Curves: the fit, the extrapolation and the document. One run on tiny data."""

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
from benchkit.extrapolation import BEGIN, END, markdown, write_section
from benchkit.plot import plot_curves
from benchkit.scaling_steps import Measurements, Step
from dataflix_testkit.long_mode import LONG_MODE
from scaling import ScalingRun

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
def test_the_exponent_of_a_power_law_is_found(exponent: float, factor: float, runs: int) -> None:
    points = [Point(size, (factor * size**exponent,) * runs) for size in SIZES]

    fit = Curve("a", "time", "ratings", "s", points).fit()

    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.exponent == pytest.approx(exponent)
    assert fit.low <= exponent + 1e-6
    assert fit.high >= exponent - 1e-6


def test_varying_runs_widen_the_interval_of_the_exponent() -> None:
    rng = np.random.default_rng(1)
    points = [Point(size, tuple(size * rng.lognormal(0, 0.2, 5))) for size in SIZES]

    fit = Curve("a", "time", "ratings", "s", points).fit()

    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.low < 1 < fit.high
    assert fit.high - fit.low > 0.02


def test_a_fixed_cost_does_not_flatten_the_extrapolation() -> None:
    # Ten seconds to start, then a second for each million.
    slow_start = curve(10.1, 11.0, 20.0)

    whole, upper = slow_start.fit(), slow_start.upper_fit()
    extrapolated = slow_start.extrapolate(100_000_000)

    assert whole is not None
    assert upper is not None
    assert upper.since == 1_000_000
    assert whole.exponent < upper.exponent == pytest.approx(np.log10(20 / 11))
    assert extrapolated == pytest.approx((20 * 20 / 11,) * 3)


def test_a_single_size_has_no_exponent() -> None:
    single = curve(3.0)

    assert single.fit() is None
    assert single.extrapolate(10) is None
    assert single.to_dict()["fit"] is None


def test_a_curve_can_be_written_and_read() -> None:
    known = curve(1.0, 9.0, 100.0)

    assert Curve.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_the_document_extrapolates_from_the_largest_size() -> None:
    served = Curve("serving", "time per request", "movies", "ms", [Point(20_000, (2.0,))])

    text = markdown(WHERE, [curve(0.4, 4, 40), curve(20, 200, 2_000, figure="memory", unit="MB"), served])

    # 40 s at ten million, linear: a hundred times as much is 1.11 h, which one core does in four hours.
    row = "| load: time | 40 s at 10,000,000 | 100 | 1.00 | 1.11 h | 1.11 h | 1 cores, if all of it divides |"
    assert row in text
    row = "| load: memory | 2,000 MB at 10,000,000 | 100 | 1.00 | 200 GB | 200 GB | 10 times this memory |"
    assert row in text
    # Two milliseconds are 500 a second on two cores. 100,000 a second need 200 times that.
    assert "| 20,000 | 500 | 400 | 400 | 1,600 |" in text


def test_the_need_of_a_flat_curve_is_at_least_proportional() -> None:
    text = markdown(WHERE, [curve(4_000, 4_000, 4_000, figure="memory", unit="MB")])

    row = "| load: memory | 4,000 MB at 10,000,000 | 100 | 0.00 | 4 GB | 400 GB | 20 times this memory |"
    assert row in text


def test_figures_replace_the_text_between_the_marks_of_a_document(tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / "other.md").write_text("no marks")

    write_section(document, "new")

    assert document.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="has no lines"):
        write_section(tmp_path / "other.md", "new")


def test_the_page_on_scaling_has_the_marks() -> None:
    text = (FOLDER.parent / "docs" / "scaling.md").read_text()

    assert 0 < text.index(BEGIN) < text.index(END)


def test_curves_are_drawn(tmp_path: Path) -> None:
    plot_curves([curve(1, 9, 100), curve(3.0, figure="memory", unit="MB")], tmp_path / "curves.svg")

    assert (tmp_path / "curves.svg").stat().st_size > 1000


def test_steps_are_measured_and_written_to_the_document(tmp_path: Path) -> None:
    out, document = tmp_path / "curves.json", tmp_path / "doc.md"
    document.write_text(f"{BEGIN}\n{END}\n")

    # Most other steps need dbt, MLflow or the API: starting those takes longer than the rest of the test.
    # The steps of test_benchmarks.py are left to the long mode.
    steps = ("load", "batch") if LONG_MODE else ("load",)
    words = ("--only", ",".join(steps), "--json", str(out), "--markdown", str(document))
    done = run("--size", "tiny", *words)

    assert done.returncode == 0, done.stderr
    written: dict[str, Any] = json.loads(out.read_text())
    assert written["failed"] == written["left_out"] == []
    names = {(one["work"], one["figure"]) for one in written["curves"]}
    assert {(work, figure) for work in steps for figure in ("time", "memory")} <= names
    for one in written["curves"]:
        sizes = [point["at"] for point in one["points"]]
        assert len(sizes) == 2
        assert sizes == sorted(sizes)
        assert all(run > 0 for point in one["points"] for run in point["runs"])
        assert f"{one['work']}: {one['figure']}" in document.read_text()
    again = run("--from", str(out))
    assert again.returncode == 0, again.stderr
    assert "load: memory" in again.stdout


def test_a_failed_step_is_named_and_the_others_still_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: Any, options: Any) -> Measurements:
        raise RuntimeError("no disk is left")

    out = tmp_path / "curves.json"
    scaling_run = ScalingRun(WHERE, out)

    for size in (100, 200):
        for step in (Step("load", "ratings", broken), Step("dbt", "ratings", one_megabyte_each)):
            scaling_run.measure(step, size, size, Namespace())

    written = json.loads(out.read_text())
    # Sizes above the failed one are not tried.
    assert written["failed"] == ["load at 100 ratings"]
    assert [(one["work"], len(one["points"])) for one in written["curves"]] == [("dbt", 2)]
    assert "no disk is left" in capsys.readouterr().err


def test_a_size_that_does_not_fit_into_memory_is_left_out(tmp_path: Path) -> None:
    scaling_run = ScalingRun(WHERE, tmp_path / "curves.json")

    # The two sizes before predict the memory of a thousand machines.
    for size in (100, 200, 10**12):
        scaling_run.measure(Step("dbt", "ratings", one_megabyte_each), size, size, Namespace())

    assert scaling_run.left_out == ["dbt at 1,000,000,000,000 ratings"]
    assert scaling_run.failed == []
    assert [point.at for point in scaling_run.curves[0].points] == [100, 200]


def one_megabyte_each(data: int, options: Namespace) -> Measurements:
    return {"memory": [float(data)]}


def test_an_unknown_step_is_refused() -> None:
    done = run("--only", "load,nothing")

    assert done.returncode == 2
    assert "no such step: nothing" in done.stderr
