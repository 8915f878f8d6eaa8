"""The keys that were good when Postgres was last asked, on disk for workers born while it is away."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from dataflix_backend.access.keys import Key

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class KnownFile:
    """A file of hashes, scopes and ids, for its owner's eyes; nothing in it opens anything."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[dict[bytes, Key], float]:
        """Return the keys and how many seconds ago they were good; none when the file is not whole."""
        try:
            told = orjson.loads(self._path.read_bytes())
            boot, running_s = _uptime()
            if boot and told.get("boot") == boot:
                return _keys(told), max(0.0, running_s - float(told["running_s"]))
            # A clock that was set back must not make a key younger than it is now.
            return _keys(told), max(0.0, time.time() - float(told["found_at"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}, 0.0

    def save(self, keys: Mapping[bytes, Key]) -> None:
        """Write keys that are good now; readers see the old file or the new one. Raises OSError."""
        rows = {hashed.hex(): _row(key) for hashed, key in keys.items()}
        boot, running_s = _uptime()
        found = {"found_at": time.time(), "boot": boot, "running_s": running_s}
        written = orjson.dumps({**found, "keys": rows})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Made with mode 600.
        descriptor, beside = tempfile.mkstemp(dir=self._path.parent, prefix=".known-keys-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(written)
            Path(beside).replace(self._path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise


def _uptime() -> tuple[str, float]:
    """Return which start of the machine this is and for how long it runs; nobody sets that clock."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "", 0.0
    return boot, time.clock_gettime(time.CLOCK_BOOTTIME)


def _keys(told: Mapping[str, Any]) -> dict[bytes, Key]:
    return {bytes.fromhex(hashed): _key(row) for hashed, row in told["keys"].items()}


def _row(key: Key) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "scopes": sorted(key.scopes),
        "user_id": key.user_id,
        "ends_in_s": key.ends_in_s,
    }


def _key(row: Mapping[str, object]) -> Key:
    key_id, scopes, user_id, ends = (row[name] for name in ("key_id", "scopes", "user_id", "ends_in_s"))
    if not (
        isinstance(key_id, int)
        and isinstance(scopes, list)
        and isinstance(user_id, int | None)
        and isinstance(ends, float | None)
    ):
        raise TypeError("not a key")
    return Key(key_id, frozenset(map(str, scopes)), user_id, ends)
