"""The files of a backup (mode 600, in folders of mode 700) and the manifest with their hashes."""

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from dataflix_ops.backup.errors import BackupError

NAME = "manifest.json"
FORM = 1
_CHUNK_BYTES = 1 << 20
# HMAC of this text identifies the key of the pseudonyms without revealing it: the key has 256 random bits.
_KEY_USE = b"dataflix: which key a backup's pseudonyms were made with"


@dataclass(frozen=True)
class Manifest:
    """The manifest. Its attributes are the keys of the JSON file.

    Attributes:
        form: version of the format of backups; other versions are refused.
        created_at: when the backup was started.
        has_secrets: whether it holds `.env` and the key of the pseudonyms.
        key_mark: identifies the key of the pseudonyms.
        files: SHA-256 of each file, by its path in the backup.
    """

    form: int
    created_at: str
    has_secrets: bool
    key_mark: str
    files: dict[str, str]


def key_mark(pii_key: str) -> str:
    """Return a value that identifies a key."""
    return hmac.new(bytes.fromhex(pii_key), _KEY_USE, "sha256").hexdigest()


def now() -> str:
    """Return the current time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file of a backup that only its owner can read; sync it to the disk at the end."""
    # mkdir applies its mode to the last folder only.
    for folder in reversed(path.parents):
        folder.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def write(folder: Path, created_at: str, *, pii_key: str, has_secrets: bool) -> Manifest:
    """Write the manifest of all files in `folder`."""
    files = {
        str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    manifest = Manifest(FORM, created_at, has_secrets, key_mark(pii_key), files)
    with new_file(folder / NAME) as out:
        out.write((json.dumps(asdict(manifest), indent=2) + "\n").encode())
    return manifest


def read(folder: Path) -> Manifest:
    """Read the manifest and check every file.

    Raises:
        BackupError: it is not a backup of this format, or a file is missing, damaged or unknown.
    """
    path = folder / NAME
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
        expected_names = set(dict(manifest.files))
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(
            f"{folder} is not a backup: {NAME} can't be read ({type(error).__name__})."
        ) from None
    if manifest.form != FORM:
        raise BackupError(f"{folder} has format {manifest.form}; this program reads format {FORM}.")
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {NAME}
    if differing := present ^ expected_names:
        raise BackupError(
            f"{folder} is not complete: missing or unknown files: {', '.join(sorted(differing)[:5])}."
        )
    for name, expected in manifest.files.items():
        if _sha256(folder / name) != expected:
            raise BackupError(f"{folder / name} is damaged. Nothing was restored.")
    return manifest


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
