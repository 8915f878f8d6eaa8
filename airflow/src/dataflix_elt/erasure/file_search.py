"""Searches ClickHouse's files for what is left of erased users."""

from pathlib import Path

from dataflix_elt.clients import clickhouse
from dataflix_elt.erasure.disk_scan import ScanResult, scan
from dataflix_elt.erasure.pending_deletes import ANALYTICS
from dataflix_elt.erasure.pseudonyms import Pseudonyms
from dataflix_elt.errors import ErasureIncompleteError


def require_clean_files(target: clickhouse.Session, data: Path, pseudonyms: Pseudonyms) -> ScanResult:
    """Search ClickHouse's files for the pseudonyms; returns what was searched.

    A pseudonym that another user has now may be in the parts of tables, whose rows were checked, and in no
    other file.

    Raises:
        ErasureIncompleteError: a file has one of them, or cannot be searched.
    """
    parts = _parts(target)
    result = scan(data, [text.encode() for text in pseudonyms.gone])
    _require_none(data, result, result.found)
    # Merges remove some meanwhile.
    _require_parts(data, result, parts & _parts(target))
    if pseudonyms.in_use:
        parts = _parts(target)
        shared = scan(data, [text.encode() for text in sorted(pseudonyms.in_use)])
        parts |= _parts(target)
        strangers = [path for path in shared.found if not _is_in(path, parts)]
        _require_none(data, shared, strangers)
        if shared.bytes > result.bytes:
            return shared
    return result


def _require_none(data: Path, result: ScanResult, found: list[Path]) -> None:
    if found or result.unread:
        what = "contain pseudonyms of erased users" if found else "cannot be searched"
        files = ", ".join(str(path.relative_to(data)) for path in (found or result.unread)[:5])
        raise ErasureIncompleteError(f"Files of ClickHouse {what}: {files}. Nothing was marked as verified.")


def _require_parts(data: Path, result: ScanResult, parts: set[tuple[str, str]]) -> None:
    """Check that the folder is the one that ClickHouse writes: an empty one, a copy or a part of it is clean.

    Raises:
        ErasureIncompleteError: files of ClickHouse's tables are elsewhere.
    """
    missing = parts - result.folders
    if missing or not result.files:
        raise ErasureIncompleteError(
            f"{data} has the files of {len(parts) - len(missing)} of the {len(parts)} parts of ClickHouse's "
            "tables, so it is not the folder that ClickHouse writes. Nothing was marked as verified. Name "
            "that folder in DATAFLIX_CLICKHOUSE_DATA_DIR. If it is on another machine: elt erase "
            "--without-search, which records that no file was searched"
        )


def _parts(target: clickhouse.Session) -> set[tuple[str, str]]:
    """Return the folders of all parts that the server knows: that of the table, and that of the part."""
    rows = target.query(
        "SELECT path FROM system.parts WHERE database IN ({raw:String}, {analytics:String})",
        raw=target.database,
        analytics=ANALYTICS,
    )
    return {(part.parent.name, part.name) for part in (Path(str(path)) for (path,) in rows)}


def _is_in(file: Path, parts: set[tuple[str, str]]) -> bool:
    # Frozen and detached parts have the same names, in other folders.
    return (file.parent.parent.name, file.parent.name) in parts and "shadow" not in file.parts
