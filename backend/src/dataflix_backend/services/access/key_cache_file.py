"""Valid API keys on disk, for workers that start while Postgres is away."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from dataflix_backend.api_key import ApiKey
from dataflix_common.files import PRIVATE, replace_file

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class KeyCacheFile:
    """A file of hashes, scopes and ids, readable by its owner alone. It holds no secret."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[dict[bytes, ApiKey], float]:
        """Return the keys by hash, and their age in seconds; no keys when the file is missing or damaged."""
        try:
            content = orjson.loads(self._path.read_bytes())
            boot_id, uptime_s = _uptime()
            if boot_id and content.get("boot") == boot_id:
                return _keys(content), max(0.0, uptime_s - float(content["running_s"]))
            # After a reboot only the wall clock is left. If it was set back, the age is 0, never negative.
            return _keys(content), max(0.0, time.time() - float(content["found_at"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}, 0.0

    def save(self, keys: Mapping[bytes, ApiKey]) -> None:
        """Write keys that are valid now; readers see the old file or the new one.

        Raises:
            OSError: the file cannot be written.
        """
        rows = {hashed.hex(): _row(key) for hashed, key in keys.items()}
        boot_id, uptime_s = _uptime()
        content = {"found_at": time.time(), "boot": boot_id, "running_s": uptime_s, "keys": rows}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, orjson.dumps(content), mode=PRIVATE)


def _uptime() -> tuple[str, float]:
    """Return the id of the machine's current boot and the seconds since, by a clock that cannot be set."""
    try:
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "", 0.0
    return boot_id, time.clock_gettime(time.CLOCK_BOOTTIME)


def _keys(content: Mapping[str, Any]) -> dict[bytes, ApiKey]:
    return {bytes.fromhex(hashed): _key(row) for hashed, row in content["keys"].items()}


def _row(key: ApiKey) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "scopes": sorted(key.scopes),
        "user_id": key.user_id,
        "ends_in_s": key.ends_in_s,
    }


def _key(row: Mapping[str, object]) -> ApiKey:
    key_id, scopes, user_id, ends = (row[name] for name in ("key_id", "scopes", "user_id", "ends_in_s"))
    if not (
        isinstance(key_id, int)
        and isinstance(scopes, list)
        and isinstance(user_id, int | None)
        and isinstance(ends, float | None)
    ):
        raise TypeError("not a key")
    return ApiKey(key_id, frozenset(map(str, scopes)), user_id, ends)
