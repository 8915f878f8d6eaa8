"""Whatever a user can provoke ends in one sentence and an exit code."""

import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from dataflix_trainer import cli
from dataflix_trainer.commands import ratings_files
from dataflix_trainer.commands.tables import versions_table
from dataflix_trainer.registry.registry import Version

TRAINER = Path(sys.executable).with_name("trainer")
MISSING = ("evaluate", "--ratings", "/no/such/file", "--protocol", "random")
HEADER = "user,item,rating,timestamp\n"


def run(
    *words: str, stdout: int | IO[str] = subprocess.PIPE, environ: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run ``trainer`` in a process of its own; returns its exit code, stdout and stderr."""
    done = subprocess.run(
        [TRAINER, *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "DATAFLIX_ENV_FILE": "/no/such/file/.env"} | (environ or {}),
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout or "", done.stderr


def test_tags_that_others_wrote_are_shown_as_they_are() -> None:
    tags = {"promotion": "[/red]", "promotion_reason": "[/x] [bold]b[/bold] \x1b]0;title\x07 \u202e \ud800"}
    table = versions_table([(Version("1", "run", datetime.now(UTC), tags, is_champion=False), {})])
    shown = " ".join(table.split())
    assert "[/red]" in shown
    assert r"[/x] [bold]b[/bold] \x1b]0;title\x07 \u202e \ud800" in shown


def check_sentence(stderr: str, words: str) -> None:
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("error:")][-1:]
    assert words in line


@pytest.mark.parametrize("words", [("--help",), ("tune", "--help"), ("--version",), (*MISSING, "--json")])
def test_output_that_cannot_be_written(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        code, _, stderr = run(*words, stdout=full)
    assert code == 6
    check_sentence(stderr, "the output cannot be written: No space left on device")


@pytest.mark.parametrize(("words", "expected"), [(("tune", "--help"), 0), ((*MISSING, "--json"), 1)])
def test_a_closed_pipe_is_no_error_to_speak_of(words: tuple[str, ...], expected: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        code, _, stderr = run(*words, stdout=pipe)
    assert code == expected
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (EOFError("No data left in file"), 1, "ended too early: No data left in file"),
    ],
    ids=["interrupt", "end of file"],
)
def test_an_interrupt_and_an_early_end_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ratings_files, "evaluate_file", fail)
    result = CliRunner().invoke(cli.main, [*MISSING, "--json"])
    assert result.exit_code == code
    check_sentence(result.stderr, words)
    assert words in json.loads(result.stdout)["error"]


@pytest.mark.parametrize("words", [("train",), ("models",), ("prune", "--dry-run"), ("serve",)])
def test_an_env_file_that_is_not_utf_8(tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"DATAFLIX_MLFLOW_HOST=\xff\xfe\n")
    code, _, stderr = run(*words, environ={"DATAFLIX_ENV_FILE": str(file)})
    assert code == 2
    check_sentence(stderr, f"{file} cannot be read: it is not UTF-8")


def test_no_refused_secret_is_printed(tmp_path: Path) -> None:
    secret = "short-pw"
    names = ("DATAFLIX_TRAINER_TOKEN", "DATAFLIX_MODEL_PROMOTION_KEY")
    given = dict.fromkeys(names, secret) | {"DATAFLIX_HOME": str(tmp_path)}
    for words in (("serve",), ("promote", "--force")):
        code, stdout, stderr = run(*words, environ=given)
        assert code == 2
        check_sentence(stderr, "must have at least 16 characters")
        assert secret not in stdout + stderr


def test_a_path_that_is_not_utf_8_is_named_and_no_traceback() -> None:
    path = b"/no/such/\xff".decode("utf-8", "surrogateescape")
    for language in ("C", "C.UTF-8"):
        environ = {"LC_ALL": language, "PYTHONIOENCODING": "ascii"}
        code, _, stderr = run("evaluate", "--ratings", path, "--protocol", "random", environ=environ)
        assert code == 4
        check_sentence(stderr, "does not exist")


def _encrypted(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", HEADER + "1,1,4,100\n")
    content = path.read_bytes()
    # The bit of an encrypted member, in its own header and in the directory.
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + at
        content = content[:place] + bytes([content[place] | 1]) + content[place + 1 :]
    path.write_bytes(content)


def _unknown_packing(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", HEADER)
    content = path.read_bytes()
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.index(mark) + at
        content = content[:place] + b"\x63" + content[place + 1 :]
    path.write_bytes(content)


def _not_utf_8(path: Path) -> None:
    path.write_bytes(HEADER.encode() + b"\xff\xfe,1,4,100\n")


def _endless_time(path: Path) -> None:
    path.write_text(HEADER + "1,1,4,inf\n")


def _distant_time(path: Path) -> None:
    path.write_text(HEADER + "1,1,4,1e30\n")


@pytest.mark.parametrize("make", [_encrypted, _unknown_packing, _not_utf_8, _endless_time, _distant_time])
def test_ratings_that_cannot_be_read(tmp_path: Path, make: object) -> None:
    path = tmp_path / "ratings.bin"
    assert callable(make)
    make(path)
    code, _, stderr = run("evaluate", "--ratings", str(path), "--protocol", "random")
    assert code == 4, stderr
    check_sentence(stderr, "ratings")


@pytest.mark.parametrize("way", ["same", "link", "hard link", "in the folder"])
def test_a_report_never_replaces_the_ratings(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    ratings = folder / "ratings.csv"
    ratings.write_text(HEADER + "".join(f"{u},{i},4,{u * 10 + i}\n" for u in range(9) for i in range(9)))
    before = ratings.read_bytes()
    source, out = ratings, tmp_path / "report.json"
    if way == "same":
        out = ratings
    elif way == "link":
        out.symlink_to(ratings)
    elif way == "hard link":
        out.hardlink_to(ratings)
    else:
        source, out = folder, ratings
    code, _, stderr = run("evaluate", "--ratings", str(source), "--protocol", "random", "--out", str(out))
    assert code == 6
    check_sentence(stderr, "it belongs to the ratings")
    assert ratings.read_bytes() == before
