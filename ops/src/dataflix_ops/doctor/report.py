"""Tells what came of the checks: a table for people, JSON for programs, and the way out of each failure."""

import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dataflix_ops.doctor.check import Outcome
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State

# A log has no window whose width could be asked for.
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
            "way_out": None if outcome.works else way_out(outcome, settings),
        }
        for outcome in outcomes
    ]
    return json.dumps({"all_work": all(row["works"] for row in rows), "checks": rows}, indent=2)


def print_table(outcomes: Sequence[Outcome], settings: Settings) -> None:
    """Print all outcomes to stdout, and the way out of failures to stderr."""
    table = Table("Service", "Check", "", "Seconds", "Seen")
    for outcome in outcomes:
        verdict = "[green]works[/]" if outcome.works else "[red]FAILS[/]"
        seen = escape(outcome.detail)
        table.add_row(outcome.check.service, outcome.check.what, verdict, f"{outcome.seconds:.2f}", seen)
    # rich itself honours NO_COLOR.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(table)
    failed = [outcome for outcome in outcomes if not outcome.works]
    if not failed:
        print(f"All {len(outcomes)} checks passed.")
        return
    print(f"{len(failed)} of {len(outcomes)} checks failed. The way out:", file=sys.stderr)
    for way in dict.fromkeys(way_out(outcome, settings) for outcome in failed):
        print(f"  {way}", file=sys.stderr)


def way_out(outcome: Outcome, settings: Settings) -> str:
    """Return what to run and which log to read, for the way the stack was started."""
    service = outcome.check.service
    match State.read(settings).runtime:
        case "docker":
            return f"{service}: ./run.sh status; docker compose logs {service}"
        case "local":
            return f"{service}: ./run.sh status; {settings.logs / service}.log"
        case _:
            return f"{service}: the stack does not run: ./run.sh starts it"
