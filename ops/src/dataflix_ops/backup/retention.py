"""Removes backups that have outlived their retention: they hold who was erased since."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dataflix_ops.backup import object_store, postgres, warehouse
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import NAME, Manifest

PARTIAL = ".partial"
# What a backup that was never finished may consist of.
_PARTS = {postgres.FOLDER, object_store.FOLDER, warehouse.FOLDER, "env", NAME}


def remove_older(parent: Path, days: int, now: datetime | None = None) -> list[Path]:
    """Remove the backups in a folder that were begun more than `days` days ago; returns their folders.

    What is no backup stays, whatever its age. One that was never finished goes by when it was last changed.

    Raises:
        BackupError: the folder is missing, or a backup could not be removed.
    """
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    if not parent.is_dir():
        raise BackupError(f"{parent} is no folder.")
    old = [
        folder
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and not folder.is_symlink() and (at := _made_at(folder)) and at < before
    ]
    for folder in old:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise BackupError(f"{folder} is too old and can't be removed: {error.strerror}.") from None
    return old


def _made_at(folder: Path) -> datetime | None:
    """Return when a backup was begun; None for a folder that is none."""
    try:
        made_at = datetime.fromisoformat(
            Manifest(**json.loads((folder / NAME).read_text("utf-8"))).created_at
        )
    except (OSError, ValueError, TypeError):
        is_unfinished = folder.name.endswith(PARTIAL) and {path.name for path in folder.iterdir()} <= _PARTS
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC) if is_unfinished else None
    return made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC)
