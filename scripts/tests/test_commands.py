"""Every command starts with any `python3`, from any folder, and finds its own environment."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_testkit.process import CORE_BIN, ROOT

COMMANDS = sorted(path.name for path in (ROOT / "scripts").glob("*.py") if "_venv.run(" in path.read_text())
PYTHON = Path(sys.base_prefix) / "bin" / "python3"


def run(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))
    }
    command = [str(PYTHON), str(script), "--help"]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "setup_superset.py"])
def test_a_command_runs_with_a_python_that_has_no_packages(tmp_path: Path, name: str) -> None:
    result = run(ROOT / "scripts" / name, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_without_its_environment_a_command_names_what_builds_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "scripts").mkdir()
    for file in ("_venv.py", name):
        shutil.copy(ROOT / "scripts" / file, tmp_path / "scripts")
    result = run(tmp_path / "scripts" / name, tmp_path)
    assert result.returncode == 1
    assert "run scripts/environments.sh" in result.stderr
    assert "Traceback" not in result.stderr


HELP_COMMANDS = [name for name in COMMANDS if name != "setup_superset.py"]


@pytest.mark.parametrize("name", HELP_COMMANDS)
def test_output_that_cannot_be_written_ends_in_one_sentence(name: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / name), "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (
        1,
        f"{name}: the output can't be written: No space left on device.\n",
    )


def test_a_closed_pipe_ends_quietly() -> None:
    # All commands end in the same way, which common/tests/test_command_end.py tests; this one starts fast.
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(ROOT / "scripts" / "generate_sample_data.py"), "--help"]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_incomplete_environment_is_named_with_what_is_missing() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import _venv; _venv.run('no.module')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.endswith("run scripts/environments.sh core. It lacks no.\n")
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def of_root() -> Iterator[Path]:
    """A clone of root's that other accounts can read."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    # Other accounts can't enter the folders of tests.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "environments.sh", folder / "scripts")
        (folder / ".venv" / "bin").mkdir(parents=True)
        yield folder


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_another_account_s_environment_is_neither_removed_nor_repaired(of_root: Path, mode: int) -> None:
    """That account's services run from it, whether it can be written or not."""
    (of_root / ".venv").chmod(mode)
    (of_root / ".venv" / "bin" / "python").symlink_to("/root/no/such/python")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command += ["bash", str(of_root / "scripts" / "environments.sh"), "core"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "belongs to another account" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (of_root / ".venv" / "bin" / "python").is_symlink()


PROGRAMS = [
    *([str(CORE_BIN / name)] for name in ("dataflix", "dataflix-backend", "dataflix-clickhouse", "trainer")),
    [sys.executable, str(ROOT / "scripts" / "ops.py")],
    [sys.executable, "-m", "dataflix_stack"],
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda words: Path(words[-1]).name)
def test_all_programs_end_alike_when_nobody_reads_their_help(program: list[str]) -> None:
    script = '"$@" --help >&-; echo $? >&2; "$@" --help < <(sleep 0.3) | true; echo ${PIPESTATUS[0]} >&2'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *program], capture_output=True, text=True, check=False
    )
    *sentence, refused, left = done.stderr.splitlines()
    assert "Standard output is closed" in sentence[0]
    assert (int(refused) != 0, left, done.stdout) == (True, "0", "")
