"""Prints the lineage of a column: all that it comes from, and all that comes from it."""

from typing import Any

from dataflix_tools.lineage.graph import LAYERS, Graph, Name, reached


def lines(graph: Graph, wanted: list[Name]) -> list[str]:
    """Return the chains through the wanted names as an indented tree that begins at the first sources.

    A wanted name has a star. A column that was shown before is not expanded again: `(see above)`. A
    description that equals the one above is left out.
    """
    shown, downstream = _part(graph, wanted)
    roots = [name for name in _ordered(shown) if not graph.upstream[name] & shown]
    found: list[str] = []
    opened: set[Name] = set()

    def show(name: Name, depth: int, about_above: str = "") -> None:
        column = graph.columns[name]
        marking = f"  [{column.marking}]" if column.marking else ""
        below = [item for item in _ordered(downstream[name]) if item in shown]
        again = "  (see above)" if name in opened and below else ""
        star = "* " if name in wanted else "  "
        about = f"  {column.about}" if column.about not in ("", about_above) and not again else ""
        found.append(f"{star}{'  ' * depth}{name}{marking}{again}{about}")
        if name not in opened:
            opened.add(name)
            for item in below:
                show(item, depth + 1, column.about)

    for root in roots:
        show(root, 0)
    return found


def as_json(graph: Graph, wanted: list[Name]) -> dict[str, Any]:
    """Return the chains as data: columns, and edges from upstream to downstream."""
    shown, _ = _part(graph, wanted)
    ordered = _ordered(shown)
    return {
        "names": [str(name) for name in wanted],
        "columns": [
            {
                "name": str(name),
                "file": graph.columns[name].file,
                "about": graph.columns[name].about,
                "marking": graph.columns[name].marking,
            }
            for name in ordered
        ],
        "edges": [[str(source), str(name)] for name in ordered for source in _ordered(graph.upstream[name])],
    }


def _part(graph: Graph, wanted: list[Name]) -> tuple[set[Name], dict[Name, set[Name]]]:
    downstream = graph.downstream()
    return reached(wanted, graph.upstream) | reached(wanted, downstream), downstream


def _ordered(names: set[Name]) -> list[Name]:
    return sorted(names, key=lambda name: (LAYERS.index(name.layer), name))
