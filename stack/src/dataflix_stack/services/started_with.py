"""With which values of `.env` each running service was started, and which of them the file has changed since.

A service reads `.env` when it starts. This module keeps what it read then, secrets as hashes only, so that a
change of the file is noticed while the service still runs with the old value.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from dataflix_common.files import replace_file
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.variables import VARIABLES, Variable
from dataflix_stack.services.registry import Service

# Differs from every port that is in use, and may be written where a port is.
_OTHER_PORT = "1"


@dataclass(frozen=True)
class Change:
    """A variable that a running service read with another value than `.env` has now.

    Attributes:
        name: of the variable.
        old: the value that the service runs with; None for a secret.
        new: the value in `.env`; None for a secret.
    """

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"another {self.name}"
        return f"{self.name}={self.old}, not {self.new}"


def record(service: Service, settings: Settings) -> None:
    """Keep the values that a service is started with.

    Raises:
        OSError: the file cannot be written.
    """
    path = _path(service, settings)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    values = {variable.name: _kept(variable, settings) for variable in VARIABLES}
    replace_file(path, json.dumps(values, indent=2) + "\n")


def changes(service: Service, settings: Settings) -> list[Change]:
    """Return what `.env` says otherwise than when a running service was started, of what the service uses.

    Args:
        service: a service that runs.
        settings: the values of `.env` now.
    """
    try:
        kept = json.loads(_path(service, settings).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        # An older version has started it, or the file is damaged; the next start writes it again.
        return []
    if not isinstance(kept, dict):
        return []
    return [
        Change(
            variable.name,
            None if variable.is_secret else kept[variable.name],
            None if variable.is_secret else settings.values[variable.name],
        )
        for variable in VARIABLES
        if variable.name in kept
        and kept[variable.name] != _kept(variable, settings)
        and _uses(service, settings, variable)
    ]


def _kept(variable: Variable, settings: Settings) -> str:
    value = settings.values[variable.name]
    if not variable.is_secret:
        return value
    # Not the secret once more; the folder is as private as .env.
    return hashlib.sha256(f"{variable.name}={value}".encode()).hexdigest()


def _uses(service: Service, settings: Settings, variable: Variable) -> bool:
    """Return whether a service's command or environment would be another one with another value."""
    value = settings.values[variable.name]
    other = _OTHER_PORT if variable.name.endswith("_PORT") else value + "x"
    changed = replace(settings, values=settings.values | {variable.name: other})
    return service.environ(changed) != service.environ(settings) or (
        service.command(changed) != service.command(settings)
    )


def _path(service: Service, settings: Settings) -> Path:
    return settings.home / "run" / "started" / f"{service.name}.json"
