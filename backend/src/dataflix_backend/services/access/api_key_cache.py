"""A worker's cache of API keys: a key is looked up in Postgres at most every two seconds."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataflix_backend.api_key import ApiKey, secret_hash
from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.queries.api_keys import find_key, find_keys, register_bootstrap
from dataflix_backend.services.access.key_cache_file import KeyCacheFile
from dataflix_backend.services.access.rate_limiter import RateLimiter
from dataflix_backend.services.repeated import Repeated

# How long a key is used without a lookup. After this time, every worker refuses a revoked key.
FRESH_S = 2.0
# Each worker looks up all keys it knows this often, so that a key revoked before an outage stays revoked.
REFRESH_INTERVAL_S = 10.0
# How long a key works while Postgres is away. No key can be revoked meanwhile, so a day is safe enough.
LAST_KNOWN_S = 24 * 3600.0
# A key takes about 500 bytes here.
MAX_KEYS = 20_000
# Enough for clients that keep sending a revoked key.
MAX_REFUSED = 1000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    key: ApiKey
    checked_at: float
    found_at: float


class ApiKeyCache:
    """Finds the key that belongs to a secret; one cache for each worker.

    Attributes:
        refreshing: looks up all keys again from time to time.
    """

    def __init__(
        self,
        database: Database,
        bootstrap: str,
        limiter: RateLimiter,
        file: KeyCacheFile,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bootstrap = secret_hash(bootstrap)
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        # When a secret was last refused.
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._limiter = limiter
        self._file = file
        self.refreshing = Repeated(self.refresh, REFRESH_INTERVAL_S, "api-key-cache")

    def start(self) -> None:
        """Register the bootstrap key, load the keys of earlier workers, and refresh all of them from now on.

        While Postgres is away, the bootstrap key is registered on its first use instead.
        """
        self.load_file()
        try:
            self._look_up(self._bootstrap)
        except UnavailableError:
            _log.warning("bootstrap key not registered yet")
        self.refreshing.start()

    def load_file(self) -> None:
        """Load the keys on disk. Each is looked up before its first use, unless Postgres is away."""
        keys, age_s = self._file.load()
        now = self._clock()
        with self._lock:
            for hashed, key in keys.items():
                self._entries.setdefault(hashed, _Entry(key, now - FRESH_S, now - age_s))

    def refresh(self) -> None:
        """Drop the keys that are no longer valid and write the others to disk.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        now = self._clock()
        on_disk, _ = self._file.load()
        with self._lock:
            known = list(self._entries)
        valid = find_keys(self._database, list({*known, *on_disk})[:MAX_KEYS])
        with self._lock:
            for hashed in known:
                entry = self._entries.get(hashed)
                if entry is None or entry.checked_at > now:
                    continue
                if hashed in valid:
                    entry.key, entry.checked_at, entry.found_at = valid[hashed], now, now
                else:
                    del self._entries[hashed]
        try:
            self._file.save(valid)
        except OSError as error:
            _log.warning("known keys not written", extra={"reason": type(error).__name__})

    def find(self, secret: str) -> ApiKey | None:
        """Return the key that belongs to ``secret``, None when the secret is not valid.

        Raises:
            UnavailableError: Postgres is away and this worker does not know the key.
            RateLimitedError: too many unknown keys are being sent.
        """
        hashed = secret_hash(secret)
        now = self._clock()
        with self._lock:
            if now - self._refused.get(hashed, -FRESH_S) < FRESH_S:
                return None
            entry = self._entries.get(hashed)
            if entry is not None:
                if now - entry.checked_at < FRESH_S:
                    return entry.key
                # Other threads may use the entry as it is while this one looks it up.
                entry.checked_at = now
        if entry is None:
            self._limiter.require_few_unknown()
        try:
            key = self._look_up(hashed)
        except UnavailableError:
            return self._last_known(hashed, entry, now)
        self._remember(hashed, key, now)
        return key

    def _look_up(self, hashed: bytes) -> ApiKey | None:
        key = find_key(self._database, hashed)
        if key is None and hashed == self._bootstrap:
            register_bootstrap(self._database, hashed)
            key = find_key(self._database, hashed)
        return key

    def _last_known(self, hashed: bytes, entry: _Entry | None, now: float) -> ApiKey | None:
        if entry is not None and now - entry.found_at < LAST_KNOWN_S:
            # By the monotonic clock: the wall clock may have been set back since.
            ends_in_s = entry.key.ends_in_s
            return entry.key if ends_in_s is None or now - entry.found_at < ends_in_s else None
        if hashed == self._bootstrap:
            return ApiKey(None, frozenset({"admin"}))
        raise UnavailableError("The key cannot be checked while the database is away.")

    def _remember(self, hashed: bytes, key: ApiKey | None, now: float) -> None:
        with self._lock:
            self._entries.pop(hashed, None)
            self._refused.pop(hashed, None)
            if key is None:
                self._limiter.count_unknown()
                self._refused[hashed] = now
                _drop_oldest(self._refused, MAX_REFUSED)
            else:
                self._entries[hashed] = _Entry(key, now, now)
                _drop_oldest(self._entries, MAX_KEYS)


def _drop_oldest(entries: OrderedDict[bytes, Any], limit: int) -> None:
    while len(entries) > limit:
        entries.popitem(last=False)
