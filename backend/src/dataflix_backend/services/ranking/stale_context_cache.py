"""The contexts that a worker read last, kept in memory for the time when Postgres is away."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from dataflix_backend.database import Database
from dataflix_backend.queries.ranking_context import RankingContext
from dataflix_backend.queries.users import find_deleted_users
from dataflix_backend.services.ranking.erased_users import ErasedUsers
from dataflix_backend.services.repeated import Repeated

# About 15 MB per worker: an event takes 13 bytes, and a user's overhead is that of about 70 events.
MAX_EVENTS = 1_000_000
_USER_COST = 70
# What was done with an item takes 24 bytes for each kind.
_KIND_COST = 2
# While Postgres answers, every worker forgets a user who was deleted past the API within this time.
FORGET_INTERVAL_S = 10.0


@dataclass(frozen=True, slots=True)
class StaleContext:
    """A context, and when it was read by the monotonic clock."""

    context: RankingContext
    read_at_s: float

    @property
    def cost(self) -> int:
        """Its part of MAX_EVENTS."""
        kinds = self.context.events.kinds
        done = 0 if kinds is None else _KIND_COST * len(kinds.places)
        return _USER_COST + len(self.context.events) + len(self.context.blocked) + done


class StaleContextCache:
    """The last context of each user, and of sessions without a user (None); the oldest is dropped first.

    Attributes:
        forgetting: forgets deleted users from time to time.
    """

    def __init__(self, database: Database, erased: ErasedUsers) -> None:
        self._database = database
        self._erased = erased
        self._lock = threading.Lock()
        self._entries: OrderedDict[int | None, StaleContext] = OrderedDict()
        self._cost = 0
        self.forgetting = Repeated(self._forget, FORGET_INTERVAL_S, "stale-context-cache")

    def start(self) -> None:
        """Forget deleted users from time to time."""
        self.forgetting.start()

    def put(self, user_id: int | None, context: RankingContext, read_at_s: float) -> None:
        """Store a context; ``read_at_s`` is when its reading began, by the monotonic clock."""
        entry = StaleContext(context, read_at_s)
        with self._lock:
            self._drop(user_id)
            self._entries[user_id] = entry
            self._cost += entry.cost
            while self._cost > MAX_EVENTS:
                self._drop(next(iter(self._entries)))

    def find(self, user_id: int | None) -> StaleContext | None:
        """Return what was read last; None if this worker does not have it, or the user is erased."""
        with self._lock:
            entry = self._entries.get(user_id)
        if entry is None or user_id is None:
            return entry
        # Another worker may have erased the user, also while this one was reading.
        erased_at = self._erased.erased_at(user_id)
        if erased_at is not None and entry.read_at_s <= erased_at:
            self.forget(user_id)
            return None
        return entry

    def erase(self, user_id: int) -> None:
        """Drop the context of a user who was erased just now, in every worker."""
        self._erased.add(user_id)
        self.forget(user_id)

    def forget(self, user_id: int | None) -> None:
        """Drop the context of a user."""
        with self._lock:
            self._drop(user_id)

    def forget_deleted_users(self) -> None:
        """Drop the contexts of all users that no longer exist.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with self._lock:
            known = [user_id for user_id in self._entries if user_id is not None]
        for user_id in find_deleted_users(self._database, known):
            self.forget(user_id)

    def _drop(self, user_id: int | None) -> None:
        entry = self._entries.pop(user_id, None)
        if entry is not None:
            self._cost -= entry.cost

    def _forget(self) -> None:
        self.forget_deleted_users()
        self._erased.forget_old()
