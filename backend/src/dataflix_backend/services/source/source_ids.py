"""The application's ids of people and items, and our numbers for them.

A pair of the two never changes: an item or a person who is gone and comes back has a new number. Ids of items
are kept in memory, so that a list costs no statement more; those of people only for an outage of Postgres,
and not longer than the person exists.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.queries.source import find_keys, find_numbers, load_items
from dataflix_backend.queries.users import find_deleted_users
from dataflix_backend.source import Source, Thing

# An item takes about 200 bytes, so this is about 10 MB per worker; more are read each time.
MAX_ITEMS = 50_000
MAX_PEOPLE = 10_000


class SourceIds:
    """Finds ids and numbers; one for each worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        # By number.
        self._items: OrderedDict[int, str] = OrderedDict()
        self._people: OrderedDict[int, str] = OrderedDict()

    def read_items(self, source: Source) -> dict[int, str]:
        """Read the pairs of items, and return them: during an outage they are all that there is.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        items = load_items(self._database, MAX_ITEMS) if source.is_copy else {}
        self.take_items(items)
        return items

    def take_items(self, items: Mapping[int, str]) -> None:
        """Know these pairs of items, by our numbers, and no others."""
        with self._lock:
            self._items = OrderedDict(items)

    def forget_people(self) -> None:
        """Forget all people: they were those of another source."""
        with self._lock:
            self._people = OrderedDict()

    def numbers(self, wanted: Collection[tuple[Thing, str]]) -> dict[tuple[Thing, str], int]:
        """Return our numbers for ids of the application, without those that it does not have.

        While Postgres is away, only those are found that this worker knows.
        """
        people = {key for thing, key in wanted if thing == "user"}
        items = {key for thing, key in wanted if thing == "movie"}
        try:
            found = list(find_numbers(self._database, people, items))
        except UnavailableError:
            with self._lock:
                known: dict[tuple[Thing, str], int] = {
                    **{("user", key): number for number, key in self._people.items() if key in people},
                    **{("movie", key): number for number, key in self._items.items() if key in items},
                }
            return known
        self._remember(found)
        return {(thing, key): number for thing, key, number in found}

    def keys(self, wanted: Collection[tuple[Thing, int]]) -> dict[tuple[Thing, int], str]:
        """Return the application's ids for our numbers, without those that it does not have.

        Raises:
            UnavailableError: Postgres is away, and this worker does not know one of them.
        """
        with self._lock:
            known: dict[tuple[Thing, int], str] = {
                (thing, number): self._items[number]
                for thing, number in wanted
                if thing == "movie" and number in self._items
            }
        missing = set(wanted) - known.keys()
        if missing:
            users = [number for thing, number in missing if thing == "user"]
            movies = [number for thing, number in missing if thing == "movie"]
            found = list(find_keys(self._database, users, movies))
            self._remember(entry for entry in found if entry[0] == "movie")
            known |= {(thing, number): key for thing, key, number in found}
        return known

    def forget(self, user_id: int) -> None:
        """Forget a person who was erased."""
        with self._lock:
            self._people.pop(user_id, None)

    def forget_deleted_people(self) -> None:
        """Forget all people who do not exist any more.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with self._lock:
            known = list(self._people)
        if known:
            for user_id in find_deleted_users(self._database, known):
                self.forget(user_id)

    def _remember(self, found: Iterable[tuple[Thing, str, int]]) -> None:
        with self._lock:
            for thing, key, number in found:
                entries, limit = (self._people, MAX_PEOPLE) if thing == "user" else (self._items, MAX_ITEMS)
                entries[number] = key
                entries.move_to_end(number)
                while len(entries) > limit:
                    entries.popitem(last=False)
