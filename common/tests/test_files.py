"""A file is replaced whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataflix_common.files import replace_file, replacing


def test_the_new_content_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    replace_file(path, "new, ü")
    assert path.read_text(encoding="utf-8") == "new, ü"
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_owner_reads_it_unless_asked_otherwise(tmp_path: Path) -> None:
    replace_file(tmp_path / "private", b"")
    replace_file(tmp_path / "public", b"", mode=0o644)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none" / "file", b"")


def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(OSError, match="device or a pipe"):
            replace_file(path, "new")
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_what_the_command_prints_to_is_not_replaced(tmp_path: Path) -> None:
    # Like /dev/stdout.
    link = tmp_path / "link"
    link.symlink_to("/proc/self/fd/1" if Path("/proc/self/fd").exists() else "/dev/fd/1")
    code = (
        f"import pathlib; from dataflix_common.files import *; replace_file(pathlib.Path({str(link)!r}), 'x')"
    )
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, check=False)
    assert b"prints to it" in done.stderr
    assert link.is_symlink()
