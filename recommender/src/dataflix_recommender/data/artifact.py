"""The artifact format: one directory of .npy arrays and a manifest.

``manifest.json`` holds the format version, the model's info, the genre names, and for every array file its
SHA-256, dtype and shape. Its key ``checksum`` is the SHA-256 of the rest of the manifest. Nothing is pickled.

Arrays are copied into memory, not memory-mapped: a mapped file that somebody truncates kills the process with
SIGBUS at its next request, and a changed one changes scores unnoticed.
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflix_recommender.errors import ArtifactError

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
HASH_CHUNK = 1 << 20  # bytes read at a time, so that hashing a large model does not hold it in memory

Array = NDArray[Any]


def write_artifact(path: Path, arrays: dict[str, Array], header: dict[str, Any]) -> None:
    """Write an artifact into the new directory ``path``.

    Everything is written and synced in a directory next to ``path``, which is then renamed: a reader sees a
    complete artifact or none.

    Args:
        path: The directory to create. An artifact never changes once it is written.
        arrays: The arrays by file name without ``.npy``.
        header: What the manifest holds besides the format version, the files and the checksum.

    Raises:
        ArtifactError: ``path`` exists already.
    """
    if path.exists():
        raise ArtifactError(path, "already exists; write each model to a new directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        files = {}
        for name, array in arrays.items():
            file = staging / f"{name}.npy"
            with file.open("wb") as stream:
                np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
                stream.flush()
                os.fsync(stream.fileno())
            files[name] = {"sha256": sha256_of(file), "dtype": array.dtype.str, "shape": list(array.shape)}
        manifest = {"format_version": FORMAT_VERSION, **header, "files": files}
        manifest["checksum"] = _checksum(manifest)
        with (staging / MANIFEST).open("w", encoding="utf-8") as stream:
            json.dump(manifest, stream, indent=1, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        staging.chmod(0o755)
        staging.replace(path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of the artifact at ``path``.

    Raises:
        ArtifactError: The manifest is missing, incomplete, altered, or of another format version.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ArtifactError(file, "is missing") from error
    # RecursionError: thousands of open brackets.
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(file, f"cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise ArtifactError(file, "is not a JSON object")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            file, f"has format version {manifest.get('format_version')!r}; this code reads {FORMAT_VERSION}"
        )
    if manifest.pop("checksum", None) != _checksum(manifest):
        raise ArtifactError(file, "does not match its checksum")
    return manifest


def read_array(path: Path, name: str, manifest: dict[str, Any]) -> Array:
    """Return the array ``name`` of the artifact at ``path``, in memory and read-only.

    The bytes that are hashed are the bytes that become the array: what happens to the file later changes
    nothing.

    Raises:
        ArtifactError: The file is missing, its SHA-256, dtype or shape is not the manifest's, or it holds NaN
            or infinity.
    """
    file = path / f"{name}.npy"
    try:
        entry = manifest["files"][name]
    except KeyError as error:
        raise ArtifactError(path / MANIFEST, f"does not list {name}.npy") from error
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(file, "is missing") from error
    except OSError as error:
        raise ArtifactError(file, f"cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ArtifactError(file, "is damaged or truncated: its SHA-256 differs from the manifest's")
    try:
        array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(file, f"is not a readable array: {error}") from error
    if array.dtype.str != entry["dtype"] or list(array.shape) != entry["shape"]:
        raise ArtifactError(
            file, f"holds {array.dtype.str}{list(array.shape)}, expected {entry['dtype']}{entry['shape']}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArtifactError(file, "holds NaN or infinite values")
    array.flags.writeable = False
    return array


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _refuse_constant(name: str) -> None:
    # Python reads NaN and Infinity, which are no JSON and have no checksum.
    raise ValueError(f"{name} is no value of JSON")


def _checksum(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
