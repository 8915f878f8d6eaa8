"""The parts that all benchmarks use: data, interleaved timing, memory, and the JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchkit.figures import Figure, at_least, at_most
from benchkit.http_load import parse_wrk, python_client
from benchkit.machine import machine
from benchkit.memory import PeakMemory
from benchkit.plot import plot
from benchkit.program import document
from benchkit.synthetic_ratings import make_ratings
from benchkit.timing import run_interleaved
from dataflix_testkit import free_port
from dataflix_testkit.process import server_process

KEYS = {"name", "value", "unit", "baseline", "ratio", "target", "peak_rss_mb", "runs"}


def test_ratings_have_the_wanted_number_are_unique_and_repeat_for_a_seed() -> None:
    ratings = make_ratings(20_000, movies=1_000, seed=3)
    again, other = make_ratings(20_000, movies=1_000, seed=3), make_ratings(20_000, movies=1_000, seed=4)

    pairs = list(zip(ratings.users.tolist(), ratings.movies.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) == 20_000
    assert pairs == sorted(pairs)
    assert set((ratings.stars * 2).tolist()) <= set(range(1, 11))
    assert np.array_equal(ratings.movies, again.movies)
    assert np.array_equal(ratings.seconds, again.seconds)
    assert not np.array_equal(ratings.movies, other.movies)


def test_a_few_movies_have_most_of_the_ratings() -> None:
    ratings = make_ratings(50_000, movies=2_000, seed=1)

    counts = np.sort(np.bincount(ratings.movies))[::-1]
    assert counts[:20].sum() > 5 * counts[1000:1020].sum()


def test_ratings_can_be_saved_and_loaded(tmp_path: Path) -> None:
    ratings = make_ratings(500, movies=200, seed=1)

    read = type(ratings).load(ratings.save(tmp_path / "ratings.npz"))

    assert np.array_equal(read.movies, ratings.movies)
    assert np.array_equal(read.stars, ratings.stars)
    assert (read.n_users, read.n_movies) == (ratings.n_users, 200)


def test_too_many_ratings_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        make_ratings(1_000, movies=10, seed=1, users=100)


def test_tasks_are_interleaved_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def note(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = run_interleaved({"a": lambda: note("a"), "b": lambda: note("b")}, 2)

    assert "".join(order) == "ababba"
    assert found == {"a": [3.0, 6.0], "b": [4.0, 5.0]}


def test_memory_of_children_counts() -> None:
    # The parent is small. Its child takes 200 MB and prints a line when it has.
    hungry = (
        "x = bytearray(200_000_000); x[::4096] = b'1' * len(x[::4096]); print('taken', flush=True); input()"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        with PeakMemory(process.pid) as memory:
            assert process.stdout.readline() == "taken\n"
        process.stdin.write("\n")
        process.stdin.flush()
        process.communicate()

    assert 200 < memory.megabytes < 400


def test_a_figure_has_medians_and_a_ratio_for_both_kinds_of_target() -> None:
    faster = Figure.of("a", "rows/s", [10, 30, 20], [40, 10, 20], at_least(0.9), peak=5.0)
    smaller = Figure.of("b", "MB", [90], 100.0, at_most(1))

    assert faster.to_dict() == {
        "name": "a",
        "value": 20,
        "unit": "rows/s",
        "baseline": 20,
        "ratio": 1,
        "target": "ratio >= 0.9",
        "peak_rss_mb": 5,
        "runs": [10, 30, 20],
    }
    assert smaller.ratio == 0.9
    assert faster.target.is_met(1)
    assert not smaller.target.is_met(1.1)
    assert Figure.from_dict(faster.to_dict()) == faster


def test_a_figure_that_was_not_run_has_no_value() -> None:
    values = Figure.not_run("spark", "s", at_least(25)).to_dict()

    assert values["value"] is values["ratio"] is values["baseline"] is None
    assert values["runs"] == []
    assert values.keys() == KEYS


def test_the_document_holds_machine_and_figures() -> None:
    written = json.loads(json.dumps(document(machine(), [Figure.of("a", "s", [1], 2.0, at_most(1))])))

    assert written.keys() == {"machine", "benchmarks"}
    assert written["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert written["benchmarks"][0].keys() == KEYS


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_figures_are_drawn(tmp_path: Path, kind: str) -> None:
    figures = [Figure.of("a", "s", [1, 2], 2.0, at_most(1)), Figure.not_run("b", "s", at_most(1))]

    plot(figures, tmp_path / f"figures.{kind}")

    beginning = (tmp_path / f"figures.{kind}").read_bytes()[:8]
    assert beginning.startswith(b"<?xml" if kind == "svg" else b"\x89PNG")


def test_our_client_counts_answers_and_failures(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "there").write_text("here I am")
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--protocol", "HTTP/1.1"]

    def ready() -> bool:
        try:
            return python_client(port, ["/there"], {}, concurrency=1, seconds=0).count == 1
        except ConnectionRefusedError:
            return False

    command = [*server, "--directory", str(tmp_path)]
    with server_process(command, ready=ready, log=tmp_path / "log", environ=os.environ):
        found = python_client(port, ["/there"], {}, concurrency=3, seconds=0.2, keep_bodies=True)
        lost = python_client(port, ["/not there".replace(" ", "%20")], {}, concurrency=1, seconds=0.05)

    assert found.count >= 3
    assert found.failed == 0
    assert set(found.bodies) == {b"here I am"}
    assert 0 < found.p50_ms <= found.p99_ms
    assert lost.count == 0
    assert lost.failed >= 1


def test_the_output_of_wrk_is_parsed() -> None:
    result = parse_wrk(
        "Running 2s test @ http://127.0.0.1:5002\n  1 threads and 4 connections\n"
        "  Latency Distribution\n     50%    1.52ms\n     75%    2.00ms\n     99%  980.00us\n"
        "  3000 requests in 2.00s, 1.00MB read\n"
        "  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n"
    )

    assert (result.seconds, result.count, result.failed) == (2.0, 2993, 10)
    assert result.p50_ms == pytest.approx(1.52)
    assert result.p99_ms == pytest.approx(0.98)
