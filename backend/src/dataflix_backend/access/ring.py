"""The keys that a worker knows: asked of Postgres when first sent, and again every two seconds at most."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataflix_backend.access.keys import Key, secret_hash
from dataflix_backend.access.known_file import KnownFile
from dataflix_backend.access.rates import Rates
from dataflix_backend.database import Database
from dataflix_backend.errors import UnavailableProblem
from dataflix_backend.queries.keys import find_key, find_keys, register_bootstrap

# How long a key that was found good is taken without asking again: a request costs no round trip, and a key
# that was revoked is refused by every worker after this time and the statement that finds it out.
FRESH_S = 2.0
# Every worker asks of all keys it knows this often, so that one revoked before Postgres went away stays so.
LOOK_AFTER_S = 10.0
# How long a key goes on working while Postgres is away: nobody can revoke one there meanwhile, yet a worker
# that was cut off must not trust for ever. A day is longer than an outage that somebody looks after.
LAST_KNOWN_S = 24 * 3600.0
# A key takes about 500 bytes here.
MAX_KEYS = 20_000
# Enough for the clients that go on sending a key that was revoked.
MAX_REFUSED = 1000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    key: Key
    asked_at: float
    found_at: float


class KeyRing:
    """Finds the key of a secret; one for each worker."""

    def __init__(
        self,
        database: Database,
        bootstrap: str,
        rates: Rates,
        file: KnownFile,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bootstrap = secret_hash(bootstrap)
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        # When a secret was last found to be no good.
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._rates = rates
        self._file = file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="key-ring", daemon=True)

    def start(self) -> None:
        """Register the bootstrap key, learn what workers before this one knew, and look after all of it.

        While Postgres is away, registering is left to the key's first use.
        """
        self.learn()
        try:
            self._ask(self._bootstrap)
        except UnavailableProblem:
            _log.warning("bootstrap key not registered yet")
        self._thread.start()

    def learn(self) -> None:
        """Take over the keys on disk, to be asked of before they are used unless Postgres is away."""
        keys, age = self._file.load()
        now = self._clock()
        with self._lock:
            for hashed, key in keys.items():
                self._entries.setdefault(hashed, _Entry(key, now - FRESH_S, now - age))

    def look_after(self) -> None:
        """Drop the keys that are no good any more, and write the others to disk.

        Raises UnavailableProblem.
        """
        now = self._clock()
        on_disk, _ = self._file.load()
        with self._lock:
            known = list(self._entries)
        good = find_keys(self._database, list({*known, *on_disk})[:MAX_KEYS])
        with self._lock:
            for hashed in known:
                entry = self._entries.get(hashed)
                if entry is None or entry.asked_at > now:
                    continue
                if hashed in good:
                    entry.key, entry.asked_at, entry.found_at = good[hashed], now, now
                else:
                    del self._entries[hashed]
        try:
            self._file.save(good)
        except OSError as error:
            _log.warning("known keys not written", extra={"reason": type(error).__name__})

    def find(self, secret: str) -> Key | None:
        """Return the key that ``secret`` opens with, None when it is no good.

        Raises UnavailableProblem for one that this worker never saw while Postgres is away, and Problem (429)
        while too many are sent that nobody knows.
        """
        hashed = secret_hash(secret)
        now = self._clock()
        with self._lock:
            if now - self._refused.get(hashed, -FRESH_S) < FRESH_S:
                return None
            entry = self._entries.get(hashed)
            if entry is not None:
                if now - entry.asked_at < FRESH_S:
                    return entry.key
                # Others may take it as it is while this thread asks.
                entry.asked_at = now
        if entry is None:
            self._rates.require_few_unknown()
        try:
            key = self._ask(hashed)
        except UnavailableProblem:
            return self._last_known(hashed, entry, now)
        self._remember(hashed, key, now)
        return key

    def _ask(self, hashed: bytes) -> Key | None:
        key = find_key(self._database, hashed)
        if key is None and hashed == self._bootstrap:
            register_bootstrap(self._database, hashed)
            key = find_key(self._database, hashed)
        return key

    def _last_known(self, hashed: bytes, entry: _Entry | None, now: float) -> Key | None:
        if entry is not None and now - entry.found_at < LAST_KNOWN_S:
            # By this clock, which nobody sets: the day's may have been put back since.
            ends_in_s = entry.key.ends_in_s
            return entry.key if ends_in_s is None or now - entry.found_at < ends_in_s else None
        if hashed == self._bootstrap:
            return Key(None, frozenset({"admin"}))
        raise UnavailableProblem("The key cannot be checked while the database is away.")

    def _remember(self, hashed: bytes, key: Key | None, now: float) -> None:
        with self._lock:
            self._entries.pop(hashed, None)
            self._refused.pop(hashed, None)
            if key is None:
                self._rates.count_unknown()
                self._refused[hashed] = now
                _bound(self._refused, MAX_REFUSED)
            else:
                self._entries[hashed] = _Entry(key, now, now)
                _bound(self._entries, MAX_KEYS)

    def _look_after(self) -> None:
        while not self._stop.wait(LOOK_AFTER_S):
            try:
                self.look_after()
            except UnavailableProblem:
                # What is known stays known; nobody can revoke a key there meanwhile.
                continue
            except Exception:  # noqa: BLE001 - logged in full
                # The thread must live: without it a revoked key could come back in an outage.
                _log.exception("looking after keys failed")


def _bound(kept: OrderedDict[bytes, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
