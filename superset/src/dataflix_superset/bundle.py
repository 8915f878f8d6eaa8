"""The dashboards as code: the files of `superset/assets`, in Superset's own export format."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dataflix_superset.errors import SetupError

_KINDS = ("databases", "datasets", "charts", "dashboards")


@dataclass(frozen=True)
class Bundle:
    """An import bundle.

    Attributes:
        contents: text of each file by its path below the folder, e.g. `charts/trending_movies.yaml`.
        uuids: UUIDs by kind: databases, datasets, charts, dashboards.
    """

    contents: dict[str, str]
    uuids: dict[str, list[str]]

    @property
    def databases(self) -> list[str]:
        """Paths of the files that describe a database connection."""
        return [path for path in self.contents if path.startswith("databases/")]

    def connected_to(self, uri: str) -> "Bundle":
        """Return the bundle with every database at `uri`; the files hold the address of a default set-up."""
        contents = dict(self.contents)
        for path in self.databases:
            contents[path] = yaml.safe_dump(yaml.safe_load(contents[path]) | {"sqlalchemy_uri": uri})
        return replace(self, contents=contents)

    def digest(self) -> str:
        """Return a hash that changes when any file does."""
        return hashlib.sha256(json.dumps(self.contents, sort_keys=True).encode()).hexdigest()


def read(folder: Path) -> Bundle:
    """Read the bundle in `folder`.

    Raises:
        SetupError: there is none, a file is not YAML, an object has no UUID, or two have the same.
    """
    paths = sorted(folder.rglob("*.yaml"))
    if folder / "metadata.yaml" not in paths:
        raise SetupError(f"{folder} is no import bundle: it has no metadata.yaml.")
    contents = {path.relative_to(folder).as_posix(): _text(path) for path in paths}
    uuids: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    owners: dict[str, str] = {}
    for path, text in contents.items():
        kind = path.split("/")[0]
        if kind not in _KINDS:
            continue
        uuid = _uuid(folder, path, text)
        if uuid in owners:
            raise SetupError(f"{folder}: {owners[uuid]} and {path} have the same UUID, {uuid}.")
        owners[uuid] = path
        uuids[kind].append(uuid)
    return Bundle(contents, uuids)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not UTF-8.") from error


def _uuid(folder: Path, path: str, text: str) -> str:
    try:
        return str(yaml.safe_load(text)["uuid"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise SetupError(f"{folder / path} can't be imported: no YAML with a uuid ({error}).") from error
