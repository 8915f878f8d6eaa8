"""Deletes backups that are older than their retention: they hold people who were erased since."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dataflix_ops.backup import object_store, postgres, warehouse
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import NAME, Manifest

PARTIAL_SUFFIX = ".partial"
# What an unfinished backup may contain.
_PARTS = {postgres.FOLDER, object_store.FOLDER, warehouse.FOLDER, "env", "state.json", NAME}


def delete_expired(parent: Path, days: int, now: datetime | None = None) -> list[Path]:
    """Delete the backups in a folder that are more than `days` days old.

    A folder that is not a backup stays, whatever its age. The age of an unfinished backup is that of its last
    change.

    Args:
        parent: the folder that holds the backups.
        days: the retention.
        now: the current time; by default the wall clock's.

    Returns:
        The deleted folders.

    Raises:
        BackupError: the folder does not exist, or a backup could not be deleted.
    """
    oldest_kept = (now or datetime.now(UTC)) - timedelta(days=days)
    if not parent.is_dir():
        raise BackupError(f"{parent} is not a folder.")
    expired = [
        folder
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and not folder.is_symlink() and (at := _created_at(folder)) and at < oldest_kept
    ]
    for folder in expired:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise BackupError(f"{folder} is too old and can't be deleted: {error.strerror}.") from None
    return expired


def _created_at(folder: Path) -> datetime | None:
    """Return when a backup was started; None for a folder that is not a backup."""
    try:
        created_at = datetime.fromisoformat(
            Manifest(**json.loads((folder / NAME).read_text("utf-8"))).created_at
        )
    except (OSError, ValueError, TypeError):
        is_unfinished = (
            folder.name.endswith(PARTIAL_SUFFIX) and {path.name for path in folder.iterdir()} <= _PARTS
        )
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC) if is_unfinished else None
    return created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)
