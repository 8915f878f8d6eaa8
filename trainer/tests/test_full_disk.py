"""An object store with a full disk: no half model is registered, the champion stays, and space repairs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from click.testing import Result

from dataflix_testkit import fill_disk, s3, small_disk

Trainer = Callable[..., Result]

DISK_MB = 64
# A model of its own: its files are gone after the test.
NAME = {"DATAFLIX_MODEL_NAME": "full-disk"}


def test_a_full_disk_registers_nothing_and_leaves_the_champion(
    trainer: Trainer, services: Any, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", megabytes=DISK_MB) as disk,
        s3(disk / "data", keys_of=services.s3) as storage,
        services.s3_relay.sent_to(urlsplit(storage.endpoint_url).port),
    ):
        first = json.loads(trainer("train", "--factors=4", "--json", **NAME).stdout)
        assert trainer("promote", first["model_version"], "--force", **NAME).exit_code == 0
        before = trainer("models", "--json", **NAME).stdout

        ballast = fill_disk(disk, left=8 << 10)
        result = trainer("train", "--factors=64", **NAME)
        assert result.exit_code == 3, result.output
        assert "has room" in result.stderr
        assert trainer("models", "--json", **NAME).stdout == before
        assert trainer("evaluate", **NAME).exit_code == 0

        ballast.unlink()
        again = trainer("train", "--factors=64", "--json", **NAME)
        assert json.loads(again.stdout)["model_version"] == "2"
