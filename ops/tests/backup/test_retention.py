"""Old backups are deleted; other folders are not."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataflix_ops.backup import manifest
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.retention import delete_expired

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def backup(folder: Path, age: timedelta) -> Path:
    folder.mkdir()
    (folder / "objects").mkdir()
    (folder / "objects" / "model").write_text("someone")
    manifest.write(folder, (NOW - age).isoformat(timespec="seconds"), pii_key="ab" * 32, has_secrets=False)
    return folder


def unfinished(folder: Path, age: timedelta, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).mkdir()
    at = (NOW - age).timestamp()
    os.utime(folder, (at, at))
    return folder


def test_only_old_backups_are_deleted(tmp_path: Path) -> None:
    month = timedelta(days=30)
    old = backup(tmp_path / "old", month + timedelta(seconds=1))
    killed = unfinished(tmp_path / "killed.partial", 2 * month, "postgres", "objects")
    stays = [
        backup(tmp_path / "young", month - timedelta(seconds=1)),
        unfinished(tmp_path / "running.partial", timedelta(hours=1), "postgres"),
        unfinished(tmp_path / "movie.partial", 2 * month, "somebody's"),
        unfinished(tmp_path / "photos", 2 * month),
    ]
    other = unfinished(tmp_path / "another program's", 2 * month)
    (other / manifest.NAME).write_text(json.dumps({"created_at": "2020-01-01T00:00:00+00:00"}))
    (tmp_path / "link").symlink_to(stays[0])

    assert delete_expired(tmp_path, 30, NOW) == [killed, old]

    assert sorted(tmp_path.iterdir()) == sorted([*stays, other, tmp_path / "link"])
    assert delete_expired(tmp_path, 30, NOW) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not a folder"):
        delete_expired(tmp_path / "nothing", 30)
