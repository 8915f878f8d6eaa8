"""The file of a study: torn, damaged, empty, and of another version."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from dataflix_trainer.tuning.journal import DAMAGED, open_journal
from dataflix_trainer.tuning.search import TuningResult, search

SPACE = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 9)}
START = {"x": 0.5, "n": 3}


def run(path: Path, max_trials: int) -> TuningResult:
    return search(
        lambda params: np.full(4, params["x"]),
        SPACE,
        START,
        seconds=60,
        max_trials=max_trials,
        seed=1,
        name="study",
        storage=open_journal(path, "study", SPACE),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of five trials."""
    file = tmp_path / "study.journal"
    assert run(file, 5).trials == 5
    return file


def test_a_whole_journal_is_continued_and_not_touched(path: Path) -> None:
    before = path.read_bytes()
    open_journal(path, "study", SPACE)
    assert path.read_bytes() == before
    assert run(path, 7).trials == 7
    assert path.read_bytes().startswith(before)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_line_torn_at_any_byte_costs_at_most_its_trial(path: Path) -> None:
    content = path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last + 1, len(content)):
        path.write_bytes(content[:length])
        open_journal(path, "study", SPACE)
        assert path.read_bytes() == content[:last]
        assert path.with_name(path.name + DAMAGED).read_bytes() == content[last:length]
    assert run(path, 8).trials == 8


@pytest.mark.parametrize(
    "line",
    [
        b'{"op_code": 4, "wor{"op_code": 5}\n',
        b"\0" * 512 + b"\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"12\n",
        b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_broken_line_in_the_middle_ends_the_part_that_is_kept(
    path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    path.write_bytes(b"".join([*lines[:half], line, *lines[half:]]))
    with caplog.at_level(logging.WARNING):
        assert run(path, 8).trials == 8
    assert path.read_bytes().startswith(b"".join(lines[:half]))
    assert path.with_name(path.name + DAMAGED).read_bytes() == line + b"".join(lines[half:])
    assert "study_repaired" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"\n"])
def test_a_file_that_holds_no_study_begins_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.journal"
    path.write_bytes(content)
    assert run(path, 3).trials == 3
    assert run(path, 4).trials == 4


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"op_code":4', '"op_code":99'),
        ('"op_code":', '"operation":'),
        ('"study_name":"study"', '"name":"study"'),
        ("gain", "profit"),
        ("FloatDistribution", "NormalDistribution"),
        (r"\"log\": false", r"\"log\": true"),
        ('"param_name":"x"', '"param_name":"y"'),
    ],
)
def test_a_journal_of_another_version_is_set_aside(
    path: Path, old: str, new: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(path, old, new)
    other = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert run(path, 3).trials == 3
    assert path.with_name(path.name + DAMAGED).read_bytes() == other
    assert "study_begins_anew" in caplog.text


def test_a_search_over_other_parameters_begins_anew(path: Path) -> None:
    wider = SPACE | {"z": FloatDistribution(0, 1)}
    result = search(
        lambda params: np.full(4, params["z"]),
        wider,
        START | {"z": 0.5},
        seconds=60,
        max_trials=3,
        seed=1,
        name="study",
        storage=open_journal(path, "study", wider),
    )
    assert result.trials == 3
    assert set(result.params) == set(wider)


def test_two_searches_at_once_break_no_line(path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from optuna.distributions import FloatDistribution, IntDistribution\n"
        "from dataflix_trainer.tuning.journal import open_journal\n"
        "from dataflix_trainer.tuning.search import search\n"
        "space = {'x': FloatDistribution(0, 1), 'n': IntDistribution(1, 9)}\n"
        "storage = open_journal(Path(sys.argv[1]), 'study', space)\n"
        "search(lambda params: np.full(4, params['x']), space, {'x': 0.5, 'n': 3}, seconds=60,\n"
        "       max_trials=25, seed=int(sys.argv[2]), name='study', storage=storage)\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, str(path), str(seed)]) for seed in (1, 2)]
    while any(other.poll() is None for other in others):
        open_journal(path, "study", SPACE)
    assert [other.wait(120) for other in others] == [0, 0]
    for line in path.read_text().splitlines():
        json.loads(line)
    assert not path.with_name(path.name + DAMAGED).exists()
