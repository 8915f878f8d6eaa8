"""The dbt project's manifest: kept current, and its identity."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataflix_elt.errors import DbtProjectError
from dataflix_elt.settings import DbtSettings

# What a parse depends on; nothing else below the project is looked at.
_SOURCES = {".sql", ".yml", ".yaml", ".md", ".csv"}
_GENERATED = {"target", "logs", "dbt_packages"}

# Stamps of the parse itself, which change although the project does not.
_VOLATILE = {"metadata", "created_at"}


def manifest(settings: DbtSettings) -> Path:
    """Return the path of a manifest that was made of the project as it is now.

    A missing or outdated one is made by `dbt parse`, which takes seconds and needs no warehouse; several
    processes that find it so wait for the one that does it.

    Raises:
        DbtProjectError: there is no project, or it cannot be parsed; dbt's words are in the message.
    """
    if not (settings.project / "dbt_project.yml").is_file():
        raise DbtProjectError(f"{settings.project} is no dbt project: it has no dbt_project.yml.")
    path, mark = settings.target / "manifest.json", settings.target / "manifest.sources"
    sources = _sources_sha256(settings)
    if _is_made_of(path, mark, sources):
        return path
    settings.target.mkdir(parents=True, exist_ok=True)
    with (settings.target / "manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_made_of(path, mark, sources):
            _parse(settings)
            mark.write_text(sources)
    return path


def manifest_sha256(path: Path) -> str:
    """Return the hash of what a manifest says, as 64 hexadecimal digits: same project, same hash.

    Raises:
        DbtProjectError: the file cannot be read.
    """
    text = json.dumps(_without_volatile(_read(path)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the project.

    Attributes:
        tests: unique ids of the data tests that judge it; each test belongs to one model.
    """

    description: str
    tests: tuple[str, ...]


def models(path: Path) -> dict[str, Model]:
    """Return the models of a manifest by their unique id.

    A test that looks at several models belongs to the one it is written at, or else to the one that is built
    last: it runs after that one, and a model further up that it also reads is not to blame.

    Raises:
        DbtProjectError: the file cannot be read.
    """
    nodes = _read(path)["nodes"]
    tests: dict[str, list[str]] = {
        unique_id: [] for unique_id, node in nodes.items() if node["resource_type"] == "model"
    }
    for unique_id, node in nodes.items():
        parents = [parent for parent in node["depends_on"]["nodes"] if parent in tests]
        if node["resource_type"] == "test" and parents:
            at = node.get("attached_node")
            owner = at if at in tests else max(parents, key=lambda parent: (_depth(nodes, parent), parent))
            tests[owner].append(unique_id)
    return {
        unique_id: Model(nodes[unique_id]["description"], tuple(sorted(judges)))
        for unique_id, judges in tests.items()
    }


def _depth(nodes: dict[str, Any], unique_id: str) -> int:
    """Return the length of the longest way from a model up to its sources."""
    parents = [parent for parent in nodes[unique_id]["depends_on"]["nodes"] if parent in nodes]
    return 1 + max((_depth(nodes, parent) for parent in parents), default=0)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DbtProjectError(f"The dbt manifest {path} cannot be read: {error}") from error


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return value


def _is_made_of(path: Path, mark: Path, sources: str) -> bool:
    try:
        return path.is_file() and mark.read_text() == sources
    except FileNotFoundError:
        return False


def _sources_sha256(settings: DbtSettings) -> str:
    """Return a hash of names and contents; times of files say little after a checkout or in an image."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for folder, folders, names in os.walk(settings.project):
        folders[:] = sorted(set(folders) - _GENERATED)
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in _SOURCES:
                content = path.read_bytes()
                digest.update(f"{path.relative_to(settings.project)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def _parse(settings: DbtSettings) -> None:
    folder, target = str(settings.project), str(settings.target)
    command = [
        # The dbt of this very environment.
        *(str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "--log-level-file", "none", "parse"),
        *("--project-dir", folder, "--profiles-dir", folder, "--target-path", target),
    ]
    environ = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if result.returncode != 0:
        raise DbtProjectError(
            f"dbt parse of {folder} failed:\n{(result.stdout + result.stderr).strip()[-2000:]}"
        )
