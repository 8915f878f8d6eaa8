"""An object store whose disk is full: no half model is registered, the champion stays, and room heals it."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from dataflix_testkit import fill_disk, mlflow, s3, small_disk

Trainer = Callable[..., Result]

DISK_MB = 64


def test_a_full_disk_registers_nothing_and_leaves_the_champion(trainer: Trainer, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", megabytes=DISK_MB) as disk,
        s3(disk / "data") as storage,
        mlflow(storage) as tracking,
    ):
        settings = storage.environ | tracking.environ
        first = json.loads(trainer("train", "--factors=4", "--json", **settings).stdout)
        assert trainer("promote", first["model_version"], "--force", **settings).exit_code == 0
        before = trainer("models", "--json", **settings).stdout

        ballast = fill_disk(disk, left=8 << 10)
        result = trainer("train", "--factors=64", **settings)
        assert result.exit_code == 3, result.output
        assert "has room" in result.stderr
        assert trainer("models", "--json", **settings).stdout == before
        assert trainer("evaluate", **settings).exit_code == 0

        ballast.unlink()
        again = trainer("train", "--factors=64", "--json", **settings)
        assert json.loads(again.stdout)["model_version"] == "2"
