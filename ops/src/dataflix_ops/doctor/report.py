"""Reports the outcomes: a table for people, JSON for programs, and what to do about each failure."""

import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dataflix_ops.doctor.check import Outcome
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State

# A file has no width of a window.
_FILE_WIDTH = 140


def as_json(outcomes: Sequence[Outcome], settings: Settings) -> str:
    """Return all outcomes as a JSON object."""
    rows = [
        {
            "service": outcome.check.service,
            "check": outcome.check.what,
            "works": outcome.works,
            "detail": outcome.detail,
            "seconds": round(outcome.seconds, 3),
            "way_out": None if outcome.works else remedy(outcome, settings),
        }
        for outcome in outcomes
    ]
    return json.dumps({"all_work": all(row["works"] for row in rows), "checks": rows}, indent=2)


def print_table(outcomes: Sequence[Outcome], settings: Settings) -> None:
    """Print all outcomes to stdout, and what to do about failures to stderr."""
    table = Table("Service", "Check", "", "Seconds", "Result")
    for outcome in outcomes:
        result = "[green]works[/]" if outcome.works else "[red]FAILS[/]"
        detail = escape(outcome.detail)
        table.add_row(outcome.check.service, outcome.check.what, result, f"{outcome.seconds:.2f}", detail)
    # rich itself honours NO_COLOR.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(table)
    failed = [outcome for outcome in outcomes if not outcome.works]
    if not failed:
        print(f"All {len(outcomes)} checks passed.")
        return
    print(f"{len(failed)} of {len(outcomes)} checks failed. What to do:", file=sys.stderr)
    for text in dict.fromkeys(remedy(outcome, settings) for outcome in failed):
        print(f"  {text}", file=sys.stderr)


def remedy(outcome: Outcome, settings: Settings) -> str:
    """Return what to run and which log to read, by how the stack was started."""
    service = outcome.check.service
    match State.read(settings).runtime:
        case "docker":
            return f"{service}: ./run.sh status; docker compose logs {service}"
        case "local":
            return f"{service}: ./run.sh status; {settings.logs / service}.log"
        case _:
            return f"{service}: the stack does not run: ./run.sh starts it"
