"""A small disk for a server, so that a test can fill it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Create `folder` and mount an empty disk on it. Without the right to mount, skip the test."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        # Lazy: a server that has not ended yet still uses the disk.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, *, left: int) -> Path:
    """Fill the disk of a folder so that `left` bytes stay free; return the file that fills it."""
    disk = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - left)
    return ballast
