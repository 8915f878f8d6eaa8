"""The application's ids of items on disk, for workers that start while Postgres is away.

Ids of people are personal and are not kept: such a worker answers a person as one that it does not know.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import orjson

from dataflix_backend.source import Source
from dataflix_common.files import PRIVATE, replace_file

_log = logging.getLogger(__name__)


class SourceItemsFile:
    """A file of the ids of one source's items; all workers write the same."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, source: Source) -> dict[int, str]:
        """Return the ids by our numbers; none if the file is missing, damaged, or of another source."""
        if not source.is_copy:
            return {}
        try:
            content = orjson.loads(self._path.read_bytes())
            if content["source"] != str(source.identity):
                return {}
            return {int(number): str(key) for number, key in content["items"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("known ids of items not read", extra={"reason": type(error).__name__})
            return {}

    def save(self, source: Source, items: Mapping[int, str]) -> None:
        """Write the ids of a source's items, or remove the file where our tables are our own.

        Raises:
            OSError: the file cannot be written or removed.
        """
        if not source.is_copy:
            self._path.unlink(missing_ok=True)
            return
        content = {
            "source": str(source.identity),
            "items": {str(number): key for number, key in items.items()},
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, orjson.dumps(content), mode=PRIVATE)
