"""Where a browser comes from, and what is said when there is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH on which there is what the script itself needs, and no browser."""
    for name in ("bash", "id"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def find(programs: Path, *words: str, **named: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if name != "CHROMIUM"}
    return subprocess.run(
        [str(ROOT / "scripts" / "chromium.sh"), *words],
        env={**others, **named, "PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, text: str = "") -> str:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_first_that_is_installed_is_found(programs: Path) -> None:
    program(programs / "google-chrome")
    wanted = program(programs / "chromium-browser")
    assert find(programs).stdout.strip() == wanted


def test_a_named_one_wins_and_has_to_exist(programs: Path, tmp_path: Path) -> None:
    program(programs / "chromium")
    own = program(tmp_path / "own")
    assert find(programs, CHROMIUM=own).stdout.strip() == own
    result = find(programs, CHROMIUM="/nowhere")
    assert (result.returncode, result.stdout) == (1, "")
    assert "/nowhere" in result.stderr


@pytest.mark.parametrize("words", [(), ("--install",)])
def test_without_any_the_way_out_is_told(programs: Path, words: tuple[str, ...]) -> None:
    program(programs / "apt-get", "exit 100")
    result = find(programs, *words)
    assert (result.returncode, result.stdout) == (77, "")
    assert "CHROMIUM=/path/to/it" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may install")
def test_root_gets_the_systems_package_when_asked(programs: Path) -> None:
    (programs / "cp").symlink_to(str(shutil.which("cp")))
    program(
        programs / "apt-get",
        f'case " $* " in *" install "*chromium*) cp "{programs}/id" "{programs}/chromium" ;; esac',
    )
    assert find(programs).returncode == 77
    assert find(programs, "--install").stdout.strip() == str(programs / "chromium")
