"""Progress is a bar on a terminal, lines elsewhere, and silent on request."""

import io
import os
from pathlib import Path

import pytest

from dataflix_loader import progress
from dataflix_loader.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_the_share_of_bytes_read_is_shown(stream: io.StringIO) -> None:
    bar = Progress(200, stream)
    bar.start_file("ratings.csv")
    bar.advance(50)
    bar.advance(150)
    text = stream.getvalue()
    assert " 25%  ratings.csv" in text
    assert "#" * 30 + " 100%" in text
    assert ("\r" in text) == stream.isatty()


def test_more_bytes_than_expected_stay_at_the_end() -> None:
    stream = io.StringIO()
    Progress(0, stream).advance(10)
    assert "100%" in stream.getvalue()


def test_quiet_is_quiet() -> None:
    stream = io.StringIO()
    bar = Progress(10, stream, quiet=True)
    bar.advance(10)
    bar.step("merging")
    assert stream.getvalue() == ""


def test_a_reader_that_is_gone_ends_the_progress_alone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        bar = Progress(10, stream)
        bar.advance(5)
        bar.step("merging")


def test_a_full_disk_ends_the_progress_alone() -> None:
    with Path("/dev/full").open("w") as stream:
        bar = Progress(10, stream)
        bar.step("merging")
        bar.advance(10)
