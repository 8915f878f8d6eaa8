"""The manifest: what an import read, by file with its hash, and what it changed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataflix_loader.database.upsert import Merged
from dataflix_loader.movielens.importer import Import
from dataflix_loader.settings import Settings

VERSION = 1


def default_path(settings: Settings, now: datetime) -> Path:
    """Return where an import's manifest lies unless somebody names another place."""
    return settings.home / "imports" / f"movielens-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"


def describe(source: Path, work: Import, merged: Mapping[str, Merged], now: datetime) -> dict[str, Any]:
    """Return the manifest: JSON values only.

    `files` holds name, role, bytes, lines' worth of rows kept, lines rejected, and SHA-256 of each file read;
    `rows` what the data set amounts to; `changes` what that meant for each table.
    """
    return {
        "version": VERSION,
        "source": source.name,
        "format": work.layout.format.value,
        "imported_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "files": [
            {
                "name": file.name,
                "role": role.value,
                "bytes": file.size,
                "rows": work.counts[role].rows,
                "rejected": work.faults.files[file.name],
                "sha256": work.counts[role].digest.hexdigest(),
            }
            for role, file in work.layout.files.items()
        ],
        "rows": work.rows,
        "changes": {
            table: {"inserted": done.inserted, "updated": done.updated} for table, done in merged.items()
        },
        "rejected": dict(sorted(work.faults.reasons.items())),
    }
