"""What a backup consists of: a folder of files (mode 600 in folders of 700), with a list of their hashes."""

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
# With this the key of the pseudonyms can be recognised, not found: it has 256 random bits.
_KEY_USE = b"dataflix: which key a backup's pseudonyms were made with"


@dataclass(frozen=True)
class Manifest:
    """The list of a backup.

    Attributes:
        form: of backups; another one is not read.
        created_at: when it was begun.
        has_secrets: whether `.env` and the key of the pseudonyms are in it.
        key_mark: tells whether a key is that of the pseudonyms.
        files: SHA-256 by path in the backup.
    """

    form: int
    created_at: str
    has_secrets: bool
    key_mark: str
    files: dict[str, str]


def key_mark(pii_key: str) -> str:
    """Return what tells that a key is the same."""
    return hmac.new(bytes.fromhex(pii_key), _KEY_USE, "sha256").hexdigest()


def now() -> str:
    """Return the present moment."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file of a backup, for its owner alone."""
    # mkdir gives its mode to the last folder alone.
    for folder in reversed(path.parents):
        folder.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def write(folder: Path, created_at: str, *, pii_key: str, has_secrets: bool) -> Manifest:
    """Write the list of all files that are in `folder` now."""
    files = {
        str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    manifest = Manifest(FORM, created_at, has_secrets, key_mark(pii_key), files)
    with writing(folder / NAME) as out:
        out.write((json.dumps(asdict(manifest), indent=2) + "\n").encode())
    return manifest


def read(folder: Path) -> Manifest:
    """Read the list and check every file.

    Raises:
        BackupError: it is no backup, of another form, or a file is missing, damaged or one too many.
    """
    path = folder / NAME
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{folder} is no backup: {NAME} can't be read ({type(error).__name__}).") from None
    if manifest.form != FORM:
        raise BackupError(f"{folder} has form {manifest.form}; this program reads form {FORM}.")
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {NAME}
    if strange := present ^ manifest.files.keys():
        raise BackupError(f"{folder} is not whole: {', '.join(sorted(strange)[:5])} missing or one too many.")
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
