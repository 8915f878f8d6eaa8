"""The dbt project's manifest: kept up to date, with a hash that identifies the project."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataflix_common.files import replace_file
from dataflix_common.locks import exclusive_lock
from dataflix_elt.errors import DbtProjectError
from dataflix_elt.settings import DbtSettings

# What a parse depends on; other files of the project do not matter.
_SOURCES = {".sql", ".yml", ".yaml", ".md", ".csv"}
_GENERATED = {"target", "logs", "dbt_packages"}

# Times and ids of the parse itself, which change although the project does not.
_VOLATILE = {"metadata", "created_at"}


def manifest(settings: DbtSettings) -> Path:
    """Return the path of a manifest that matches the project as it is now.

    If it is missing or outdated, `dbt parse` writes it, which takes seconds and needs no warehouse. Of
    several processes one does it, and the others wait.

    Raises:
        DbtProjectError: there is no project, or dbt cannot parse it; the message has dbt's output.
    """
    if not (settings.project / "dbt_project.yml").is_file():
        raise DbtProjectError(f"{settings.project} is no dbt project: it has no dbt_project.yml.")
    path, mark = settings.target / "manifest.json", settings.target / "manifest.sources"
    sources = _sources_sha256(settings)
    if _matches(path, mark, sources):
        return path
    settings.target.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(settings.target / "manifest.lock", wait=True):
        if not _matches(path, mark, sources):
            _parse(settings)
            replace_file(mark, sources, mode=None)
    return path


def manifest_sha256(path: Path) -> str:
    """Return the SHA-256 of a manifest's content, in hexadecimal: same project, same hash.

    Raises:
        DbtProjectError: the file cannot be read.
    """
    text = json.dumps(_without_volatile(_read(path)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the project.

    Attributes:
        description: text for people.
        tests: unique ids of its data tests; each test belongs to one model.
    """

    description: str
    tests: tuple[str, ...]


def models(path: Path) -> dict[str, Model]:
    """Return the models of a manifest by their unique id.

    A test of several models belongs to the one that it is attached to, or else to the one that is built last:
        it
    runs after that one, and a model upstream that it also reads did not cause its failure.

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
        unique_id: Model(nodes[unique_id]["description"], tuple(sorted(of_model)))
        for unique_id, of_model in tests.items()
    }


def _depth(nodes: dict[str, Any], unique_id: str) -> int:
    """Return the length of the longest path from a model up to its sources."""
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


def _matches(path: Path, mark: Path, sources: str) -> bool:
    try:
        return path.is_file() and mark.read_text() == sources
    except FileNotFoundError:
        return False


def _sources_sha256(settings: DbtSettings) -> str:
    """Return a hash of names and contents. File times mean little after a checkout or in an image."""
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
        # The dbt of this environment.
        *(str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "--log-level-file", "none", "parse"),
        *("--project-dir", folder, "--profiles-dir", folder, "--target-path", target),
    ]
    environ = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if result.returncode != 0:
        raise DbtProjectError(
            f"dbt parse of {folder} failed:\n{(result.stdout + result.stderr).strip()[-2000:]}"
        )
