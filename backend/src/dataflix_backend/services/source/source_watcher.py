"""What our tables are a copy of: read every few seconds, and kept in files for an outage of Postgres."""

import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnavailableError
from dataflix_backend.queries.source import load_source
from dataflix_backend.services.repeated import Repeated
from dataflix_backend.services.source.source_ids import SourceIds
from dataflix_backend.services.source.source_items_file import SourceItemsFile
from dataflix_backend.source import OUR_TABLES, EventKind, Identity, IdForm, Source, Words
from dataflix_common.files import PRIVATE, replace_file

# After a first copy, a worker takes the application's ids within this time. Before it there is nobody here.
REFRESH_INTERVAL_S = 5.0
# Every so many rounds, ids of people who were erased are forgotten.
_ROUNDS_TO_FORGET = 2
# Every so many rounds, ten minutes, ids of items are read again: a model knows none that is younger for long.
_ROUNDS_TO_READ_ITEMS = 120

_log = logging.getLogger(__name__)


class SourceWatcher:
    """The source as this worker knows it.

    Attributes:
        current: what was read last. A request reads it once.
        reading: reads it again from time to time.
    """

    def __init__(self, database: Database, ids: SourceIds, file: Path, items: SourceItemsFile) -> None:
        """Make a watcher.

        Args:
            database: our Postgres.
            ids: get the ids of another source.
            file: has the source that was known last.
            items: has the ids of its items.
        """
        self._database = database
        self._ids = ids
        self._file = file
        self._items = items
        self._has_ids = False
        self._rounds = 0
        self.reading = Repeated(self._watch, REFRESH_INTERVAL_S, "source-watcher")
        self.current = OUR_TABLES

    def start(self) -> None:
        """Load what an earlier worker knew, and read it again from now on."""
        self.current = _load(self._file)
        try:
            self.refresh()
        except UnavailableError:
            _log.warning("source not read yet")
            self._ids.take_items(self._items.load(self.current))
        self.reading.start()

    def refresh(self) -> None:
        """Read the source.

        Raises:
            UnavailableError: Postgres does not answer; what was known stays.
        """
        found = load_source(self._database)
        known = self.current
        is_other = (found.identity, found.person_ids, found.item_ids) != (
            known.identity,
            known.person_ids,
            known.item_ids,
        )
        if is_other or not self._has_ids:
            self._read_items(found)
            self._ids.forget_people()
            self._has_ids = True
        self.current = found
        if is_other:
            _log.info("source changed", extra={"source": str(found.identity or "our own tables")})
        if found != known:
            try:
                _save(self._file, found)
            except OSError as error:
                _log.warning("source not written", extra={"reason": type(error).__name__})

    def _read_items(self, source: Source) -> None:
        items = self._ids.read_items(source)
        try:
            self._items.save(source, items)
        except OSError as error:
            _log.warning("ids of items not written", extra={"reason": type(error).__name__})

    def _watch(self) -> None:
        self._rounds += 1
        self.refresh()
        if self._rounds % _ROUNDS_TO_FORGET == 0:
            self._ids.forget_deleted_people()
        if self._rounds % _ROUNDS_TO_READ_ITEMS == 0:
            self._read_items(self.current)


def _save(file: Path, source: Source) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, orjson.dumps(asdict(source)), mode=PRIVATE)


def _load(file: Path) -> Source:
    """Return the content of the file; our own tables where it is missing or damaged."""
    try:
        return _source(orjson.loads(file.read_bytes()))
    except FileNotFoundError:
        return OUR_TABLES
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("known source not read", extra={"reason": type(error).__name__})
        return OUR_TABLES


def _source(content: dict[str, Any]) -> Source:
    identity, copied_at = content["identity"], content["copied_at"]
    return Source(
        Identity(**identity) if identity else None,
        Words(**content["words"]),
        IdForm(**content["person_ids"]),
        IdForm(**content["item_ids"]),
        tuple(EventKind(**kind) for kind in content["kinds"]),
        datetime.fromisoformat(copied_at) if copied_at else None,
    )
