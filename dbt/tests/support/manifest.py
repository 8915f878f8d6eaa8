"""Queries on the manifest of the project."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json."""

    content: dict[str, Any]

    @property
    def models(self) -> dict[str, Node]:
        """Models by name."""
        return {node["name"]: node for node in self._nodes("model")}

    @property
    def core_models(self) -> list[str]:
        """Names of the models in a layer's own folder, without those in its sub-folders for dashboards."""
        return [
            name for name, node in self.models.items() if len(node["fqn"]) == len(("project", "layer", name))
        ]

    @property
    def sources(self) -> dict[str, Node]:
        """Sources as source_name.table."""
        return {f"{node['source_name']}.{node['name']}": node for node in self.content["sources"].values()}

    @property
    def exposures(self) -> list[Node]:
        """All exposures."""
        return list(self.content["exposures"].values())

    @property
    def data_tests(self) -> list[Node]:
        """All data tests, generic and singular."""
        return list(self._nodes("test"))

    def layer(self, model: str) -> str:
        """Return the layer of a model: staging, intermediate or marts."""
        return str(self.models[model]["fqn"][1])

    def tests_of(self, model: str) -> list[Node]:
        """Return the generic tests in a model's yml."""
        unique_id = self.models[model]["unique_id"]
        return [test for test in self.data_tests if test.get("attached_node") == unique_id]

    def unit_tests_of(self, model: str) -> list[Node]:
        """Return the unit tests of a model."""
        return [test for test in self.content["unit_tests"].values() if test["model"] == model]

    def parents(self, unique_id: str) -> list[str]:
        """Return the unique ids of the nodes that a node reads."""
        return list(self.content["parent_map"][unique_id])

    def ancestors(self, unique_id: str) -> set[str]:
        """Return the unique ids of all nodes that a node reads, directly or through others."""
        found: set[str] = set()
        waiting = [unique_id]
        while waiting:
            for parent in self.parents(waiting.pop()):
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        return found

    def _nodes(self, kind: str) -> Iterator[Node]:
        return (node for node in self.content["nodes"].values() if node["resource_type"] == kind)
