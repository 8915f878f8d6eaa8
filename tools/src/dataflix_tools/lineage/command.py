"""Follows every column from the application's tables to the API and the dashboards, by reading files alone.

Use: scripts/check_lineage.py             fails on a dangling, unmasked or undocumented name
     scripts/check_lineage.py NAME        prints the chains of a name: rating, users.email, bayesian_mean
     --json                               the same as data; --root: another project's folder
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from dataflix_tools.lineage.build import build
from dataflix_tools.lineage.chains import as_json, lines
from dataflix_tools.lineage.dbt import DbtFileError
from dataflix_tools.lineage.graph import Graph
from dataflix_tools.lineage.statements import UnreadableFileError

ROOT = Path(__file__).resolve().parents[4]


def main() -> None:
    """Check, or print the chains of a name; exit 1 when something is wrong or unknown."""
    parser = argparse.ArgumentParser(description="Follow every column from the application's tables on.")
    parser.add_argument("name", nargs="?", help="print the chains of this column instead")
    parser.add_argument("--json", action="store_true", help="print data")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    arguments = parser.parse_args()
    try:
        graph = build(arguments.root.resolve())
    except (DbtFileError, UnreadableFileError, OSError) as error:
        sys.exit(f"check_lineage: {error}")
    if arguments.name:
        _show(graph, arguments.name, in_json=arguments.json)
    else:
        _check(graph, in_json=arguments.json)


def _show(graph: Graph, name: str, *, in_json: bool) -> None:
    wanted = graph.named(name)
    if not wanted:
        sys.exit(f"check_lineage: no column is called {name!r}; ask for a column, or for table.column")
    print(json.dumps(as_json(graph, wanted), indent=2) if in_json else "\n".join(lines(graph, wanted)))


def _check(graph: Graph, *, in_json: bool) -> None:
    findings = sorted(graph.findings)
    if in_json:
        found = [asdict(finding) for finding in findings]
        print(json.dumps({"columns": len(graph.columns), "findings": found}, indent=2))
    elif not findings:
        print(f"check_lineage: {len(graph.columns)} columns, none of them dangling, unmasked or undocumented")
    for finding in findings:
        print(f"check_lineage: {finding}", file=sys.stderr)
    if findings:
        sys.exit(1)


if __name__ == "__main__":
    main()
