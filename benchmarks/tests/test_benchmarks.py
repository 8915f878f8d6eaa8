"""Benchmarks run from the command line on tiny data: all they must show here is that they measure at all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1]
NAMES = ("elt", "incremental", "dbt_build", "training", "serving", "batch", "embedded", "import")


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / f"{name}.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_benchmarks_measure_and_their_figures_are_put_together(tmp_path: Path) -> None:
    out, picture = tmp_path / "figures.json", tmp_path / "figures.svg"

    # Those that need neither dbt nor MLflow, whose start takes longer than all that is tested here.
    only = ("--only", "embedded,batch,import")
    done = run("run_all", "--size", "tiny", *only, "--json", str(out), "--plot", str(picture))

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(out.read_text())
    assert told.keys() == {"machine", "benchmarks"}
    assert {figure["name"].split()[0] for figure in told["benchmarks"]} == {"embedded", "batch", "import"}
    for figure in told["benchmarks"]:
        assert figure["name"] in " ".join(done.stdout.split())
        assert figure["value"] > 0
        assert figure["yardstick"] > 0
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["yardstick"], rel=1e-4)
        assert figure["peak_rss_mb"] > 10
        assert len(figure["runs"]) == 1
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_tells_its_options(name: str) -> None:
    done = run(name, "--help")

    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout


def test_run_all_refuses_an_unknown_name() -> None:
    done = run("run_all", "--only", "elt,nothing")

    assert done.returncode == 2
    assert "no such benchmark: nothing" in done.stderr


def test_one_that_fails_is_told_of_and_the_others_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"

    # Nothing is over so soon but what is stopped.
    done = run("run_all", "--size", "tiny", "--only", "embedded", "--limit", "0.1", "--json", str(out))

    assert done.returncode == 1
    assert "failed: embedded --size tiny (not over after 0 s)" in done.stderr
    assert json.loads(out.read_text())["benchmarks"] == []
