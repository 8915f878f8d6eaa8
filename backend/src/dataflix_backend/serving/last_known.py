"""What a worker last read of users' histories, kept in memory for the time when Postgres is away."""

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from dataflix_backend.database import Database
from dataflix_backend.errors import UnavailableProblem
from dataflix_backend.queries.history import Ground, users_gone

# About 15 MB a worker: an event takes 13 bytes, a user's own overhead about as much as seventy.
MAX_EVENTS = 1_000_000
_USER_COSTS = 70
# Somebody who is deleted is forgotten by every worker within this time, while Postgres is there.
FORGET_INTERVAL_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was read, and when, by the clock that nobody sets."""

    ground: Ground
    read_at_s: float

    @property
    def cost(self) -> int:
        """What it counts against MAX_EVENTS."""
        return _USER_COSTS + len(self.ground.events) + len(self.ground.blocked)


class LastKnown:
    """The latest users' grounds, the one read longest ago dropped first; None stands for nobody."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._kept: OrderedDict[int | None, Kept] = OrderedDict()
        self._cost = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._forget_the_gone, name="forgetting", daemon=True)

    def start(self) -> None:
        """Forget, from time to time, who is deleted."""
        self._thread.start()

    def keep(self, user_id: int | None, ground: Ground) -> None:
        """Remember what was read at this moment."""
        kept = Kept(ground, time.monotonic())
        with self._lock:
            self._drop(user_id)
            self._kept[user_id] = kept
            self._cost += kept.cost
            while self._cost > MAX_EVENTS:
                self._drop(next(iter(self._kept)))

    def find(self, user_id: int | None) -> Kept | None:
        """Return what was read last, None when this worker never read it or has dropped it."""
        with self._lock:
            return self._kept.get(user_id)

    def forget(self, user_id: int | None) -> None:
        """Drop what is known of a user."""
        with self._lock:
            self._drop(user_id)

    def forget_the_gone(self) -> None:
        """Drop every user whom Postgres does not have any more; raises UnavailableProblem."""
        with self._lock:
            known = [user_id for user_id in self._kept if user_id is not None]
        for user_id in users_gone(self._database, known):
            self.forget(user_id)

    def _drop(self, user_id: int | None) -> None:
        kept = self._kept.pop(user_id, None)
        if kept is not None:
            self._cost -= kept.cost

    def _forget_the_gone(self) -> None:
        while not self._stop.wait(FORGET_INTERVAL_S):
            try:
                self.forget_the_gone()
            except UnavailableProblem:
                # Nobody can be deleted there meanwhile; the next look finds who was.
                continue
            except Exception:  # noqa: BLE001 - logged in full
                # The thread must live: without it this worker would forget nobody.
                _log.exception("forgetting failed")
