"""Variables and commands of docker-compose.yml, with the addresses of servers on this machine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).resolve().parents[4] / "docker-compose.yml"
_SERVICES: dict[str, Any] = yaml.safe_load(_FILE.read_text())["services"]

# A server's name and port in a URL, such as "@postgres:5432/mlflow".
_ADDRESS = re.compile(r"(?<=[/@])(postgres|s3):\d+")


def environ(service: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Compose sets for a service, and no others.

    Args:
        service: name in docker-compose.yml.
        values: all DATAFLIX_ variables, with the addresses of this machine's servers.
    """
    found: dict[str, str] = {}
    for name, written in _SERVICES[service].get("environment", {}).items():
        text = re.sub(r"\$\{([A-Z0-9_]+):\?\}", lambda match: values[match[1]], str(written))
        text = _ADDRESS.sub(lambda match: _address(match[1], values), text)
        found[name] = values.get(name, text)
    return found


def command(service: str) -> tuple[str, ...]:
    """Return the command that Compose passes to the image of a service."""
    return tuple(_SERVICES[service]["command"])


def listening(server: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that move a server of ours from its image's port to the one in `values`."""
    return {name: values[name] for name in (f"DATAFLIX_{server}_HOST", f"DATAFLIX_{server}_PORT")}


def _address(server: str, values: Mapping[str, str]) -> str:
    prefix = f"DATAFLIX_{server.upper()}"
    return f"{values[prefix + '_HOST']}:{values[prefix + '_PORT']}"
