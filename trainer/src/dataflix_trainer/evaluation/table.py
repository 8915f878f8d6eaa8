"""A benchmark's report as a table for people."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

# Eight figures with intervals; terminals that are narrower wrap.
WIDTH = 170


def rendered(report: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the report's figures of the metrics ``names``, each with its 95 % interval."""
    data, test = report["data"], report["data"]["test"]
    lines = [
        f"{data['source']}: {data['ratings']:,} ratings of {data['users']:,} users, {data['items']:,} films",
        f"Protocol {report['protocol']}, seed {report['seed']}, "
        + ("tuned on the validation part" if report["tuned"] else "defaults, not tuned"),
        f"Learnt from {test['train_events']:,} events of {test['train_users']:,} users; "
        f"{test['evaluated_users']:,} users evaluated on {test['target_events']:,} events, "
        f"known by {test['known_events']:,}; {data['catalogue']:,} films ranked",
    ]
    table = Table("model", *names, "seconds", caption="mean over users and 95 % bootstrap interval")
    for model in report["models"]:
        figures = [model["metrics"][name] for name in names]
        table.add_row(
            model["name"],
            *(f"{f['mean']:.4f}\n{f['low']:.4f}-{f['high']:.4f}" for f in figures),
            f"{model['seconds']:.1f}",
        )
    console = Console(file=StringIO(), width=WIDTH)
    with console.capture() as capture:
        console.print(table)
    lines.append(capture.get().rstrip())
    lines += [_compared(row) for row in report["comparisons"]]
    return "\n".join(lines)


def _compared(row: Mapping[str, Any]) -> str:
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
    difference = row["difference"]
    return (
        f"{row['model']} / {row['against']}: {ratio} in {row['metric'].upper()}, difference "
        f"{difference['mean']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"
    )
