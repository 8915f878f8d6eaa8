"""What all figures rest on: data, timing in turn, memory, and what is written down."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchkit.data import make_ratings
from benchkit.figures import Figure, at_least, at_most
from benchkit.load import own_client, read_wrk
from benchkit.machine import machine
from benchkit.memory import PeakMemory
from benchkit.plot import plot
from benchkit.program import document
from benchkit.timing import in_turn
from dataflix_testkit import free_port
from dataflix_testkit.process import server_process

KEYS = {"name", "value", "unit", "yardstick", "ratio", "goal", "peak_rss_mb", "runs"}


def test_ratings_are_as_many_as_asked_for_unique_and_the_same_for_a_seed() -> None:
    ratings = make_ratings(20_000, films=1_000, seed=3)
    again, other = make_ratings(20_000, films=1_000, seed=3), make_ratings(20_000, films=1_000, seed=4)

    pairs = list(zip(ratings.users.tolist(), ratings.films.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) == 20_000
    assert pairs == sorted(pairs)
    assert set((ratings.stars * 2).tolist()) <= set(range(1, 11))
    assert np.array_equal(ratings.films, again.films)
    assert np.array_equal(ratings.seconds, again.seconds)
    assert not np.array_equal(ratings.films, other.films)


def test_a_few_films_have_most_of_the_ratings() -> None:
    ratings = make_ratings(50_000, films=2_000, seed=1)

    counts = np.sort(np.bincount(ratings.films))[::-1]
    assert counts[:20].sum() > 5 * counts[1000:1020].sum()


def test_ratings_survive_a_file(tmp_path: Path) -> None:
    ratings = make_ratings(500, films=200, seed=1)

    read = type(ratings).load(ratings.save(tmp_path / "ratings.npz"))

    assert np.array_equal(read.films, ratings.films)
    assert np.array_equal(read.stars, ratings.stars)
    assert (read.n_users, read.n_films) == (ratings.n_users, 200)


def test_too_many_ratings_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        make_ratings(1_000, films=10, seed=1, users=100)


def test_works_take_turns_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def note(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = in_turn({"a": lambda: note("a"), "b": lambda: note("b")}, 2)

    assert "".join(order) == "ababba"
    assert found == {"a": [3.0, 6.0], "b": [4.0, 5.0]}


def test_memory_of_children_counts() -> None:
    # The parent is small; its child takes 200 MB and tells when it has.
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


def test_a_figure_tells_medians_and_the_ratio_in_both_directions() -> None:
    faster = Figure.of("a", "rows/s", [10, 30, 20], [40, 10, 20], at_least(0.9), peak=5.0)
    smaller = Figure.of("b", "MB", [90], 100.0, at_most(1))

    assert faster.to_dict() == {
        "name": "a",
        "value": 20,
        "unit": "rows/s",
        "yardstick": 20,
        "ratio": 1,
        "goal": "ratio >= 0.9",
        "peak_rss_mb": 5,
        "runs": [10, 30, 20],
    }
    assert smaller.ratio == 0.9
    assert faster.goal.is_met(1)
    assert not smaller.goal.is_met(1.1)
    assert Figure.from_dict(faster.to_dict()) == faster


def test_what_was_not_run_says_so() -> None:
    told = Figure.not_run("spark", "s", at_least(25)).to_dict()

    assert told["value"] is told["ratio"] is told["yardstick"] is None
    assert told["runs"] == []
    assert told.keys() == KEYS


def test_the_document_holds_machine_and_figures() -> None:
    told = json.loads(json.dumps(document(machine(), [Figure.of("a", "s", [1], 2.0, at_most(1))])))

    assert told.keys() == {"machine", "benchmarks"}
    assert told["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert told["benchmarks"][0].keys() == KEYS


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
            return own_client(port, ["/there"], {}, concurrency=1, seconds=0).count == 1
        except ConnectionRefusedError:
            return False

    command = [*server, "--directory", str(tmp_path)]
    with server_process(command, ready=ready, log=tmp_path / "log", environ=os.environ):
        found = own_client(port, ["/there"], {}, concurrency=3, seconds=0.2, keep_bodies=True)
        lost = own_client(port, ["/not there".replace(" ", "%20")], {}, concurrency=1, seconds=0.05)

    assert found.count >= 3
    assert found.failed == 0
    assert set(found.bodies) == {b"here I am"}
    assert 0 < found.p50_ms <= found.p99_ms
    assert lost.count == 0
    assert lost.failed >= 1


def test_what_wrk_prints_is_read() -> None:
    answers = read_wrk(
        "Running 2s test @ http://127.0.0.1:5002\n  1 threads and 4 connections\n"
        "  Latency Distribution\n     50%    1.52ms\n     75%    2.00ms\n     99%  980.00us\n"
        "  3000 requests in 2.00s, 1.00MB read\n"
        "  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n"
    )

    assert (answers.seconds, answers.count, answers.failed) == (2.0, 2993, 10)
    assert answers.p50_ms == pytest.approx(1.52)
    assert answers.p99_ms == pytest.approx(0.98)
