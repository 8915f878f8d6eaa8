"""Benchmarks on tiny data, from the command line: they must measure something."""

import json
import runpy
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


def test_benchmarks_measure_and_their_figures_are_collected(tmp_path: Path) -> None:
    out, picture = tmp_path / "figures.json", tmp_path / "figures.svg"

    # Benchmarks that need neither dbt nor MLflow: starting those takes longer than the rest of the test.
    only = ("--only", "embedded,batch,import")
    done = run("run_all", "--size", "tiny", *only, "--json", str(out), "--plot", str(picture))

    assert done.returncode == 0, done.stderr
    written: dict[str, Any] = json.loads(out.read_text())
    assert written.keys() == {"machine", "benchmarks"}
    assert {figure["name"].split()[0] for figure in written["benchmarks"]} == {"embedded", "batch", "import"}
    for figure in written["benchmarks"]:
        assert figure["name"] in " ".join(done.stdout.split())
        assert figure["value"] > 0
        assert figure["baseline"] > 0
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["baseline"], rel=1e-4)
        assert figure["peak_rss_mb"] > 10
        assert len(figure["runs"]) == 1
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_prints_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process: each of its own would spend seconds on loading the same libraries.
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")

    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out


def test_run_all_refuses_an_unknown_name() -> None:
    done = run("run_all", "--only", "elt,nothing")

    assert done.returncode == 2
    assert "no such benchmark: nothing" in done.stderr


def test_a_failed_benchmark_is_named_and_the_json_is_written(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"

    # No benchmark ends so soon unless it is stopped.
    done = run("run_all", "--size", "tiny", "--only", "embedded", "--limit", "0.1", "--json", str(out))

    assert done.returncode == 1
    assert "failed: embedded --size tiny (not finished after 0 s)" in done.stderr
    assert json.loads(out.read_text())["benchmarks"] == []
