"""The manifest of an import: what was read, by file with its hash, and what changed."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataflix_loader.movielens.importer import ImportResult
from dataflix_loader.settings import Settings

VERSION = 1


def default_path(settings: Settings, now: datetime) -> Path:
    """Return the default path of the manifest of an import."""
    return settings.home / "imports" / f"movielens-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"


def build_manifest(source: Path, result: ImportResult, now: datetime) -> dict[str, Any]:
    """Return the manifest; it holds only JSON values.

    `files` holds, for each file, its name, role, bytes, rows kept, lines rejected, and SHA-256. `rows` holds
    the rows of the data set, `changes` what was inserted and updated in each table, and `corrections` the
    titles and years that were corrected.
    """
    return {
        "version": VERSION,
        "source": source.name,
        "format": result.dataset.format.value,
        "imported_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "files": [
            {
                "name": file.name,
                "role": kind.value,
                "bytes": file.size,
                "rows": result.stats[kind].rows,
                "rejected": result.rejects.count_by_file[file.name],
                "sha256": result.stats[kind].digest.hexdigest(),
            }
            for kind, file in result.dataset.files.items()
        ],
        "rows": result.rows,
        "changes": {
            table: {"inserted": change.inserted, "updated": change.updated}
            for table, change in result.changes.items()
        },
        "corrections": asdict(result.corrections),
        "rejected": dict(sorted(result.rejects.count_by_reason.items())),
    }
