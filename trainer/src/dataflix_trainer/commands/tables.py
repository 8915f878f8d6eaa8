"""Results as tables for a terminal."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataflix_trainer.evaluation.options import MAIN_METRIC, FileEvaluationOptions

if TYPE_CHECKING:
    # It brings MLflow, which takes a second to import; an evaluation of a file needs none.
    from dataflix_trainer.registry.registry import Version

# Wide enough for every column of the versions but the reason, which wraps.
VERSIONS_WIDTH = 140
# Eight figures with intervals; narrower terminals wrap.
REPORT_WIDTH = 170


def evaluation_table(result: Mapping[str, Any]) -> str:
    """Return the metrics of one version next to those of popularity."""
    table = Table("metric", f"version {result['version']}", "popularity", title=f"{result['users']} users")
    for name, value in result["metrics"].items():
        table.add_row(name, f"{value:.4f}", f"{result['popularity'][name]:.4f}")
    return _render(table, VERSIONS_WIDTH)


def versions_table(versions: Sequence[tuple["Version", Mapping[str, float]]]) -> str:
    """Return the versions with their main metrics and the decision of the promotion rule."""
    table = Table("version", "trained (UTC)", "NDCG@10", "popularity", "coverage@10", "decision", "reason")
    for version, metrics in versions:
        row = version.to_dict()
        table.add_row(
            f"{version.number}{' champion' if version.is_champion else ''}"
            f"{', held' if row['held_since'] else ''}",
            f"{version.created_at:%Y-%m-%d %H:%M}",
            *(
                f"{metrics[name]:.4f}" if name in metrics else ""
                for name in (MAIN_METRIC, f"popularity_{MAIN_METRIC}", "coverage@10")
            ),
            _as_it_is("rolled back" if row["rolled_back_at"] else row["promotion"] or "not judged"),
            _as_it_is(row["promotion_reason"] or ""),
        )
    return _render(table, VERSIONS_WIDTH)


def file_report(report: Mapping[str, Any], options: FileEvaluationOptions) -> str:
    """Return the main figures of an evaluation on a file, each with its 95 % interval."""
    main = options.main_cutoff
    names = [f"ndcg@{k}" for k in options.cutoffs]
    names += [f"{name}@{main}" for name in ("recall", "coverage", "novelty", "diversity", "gini")]
    data, test = report["data"], report["data"]["test"]
    table = Table("model", *names, "seconds", caption="mean over users and 95 % bootstrap interval")
    for model in report["models"]:
        figures = [model["metrics"][name] for name in names]
        table.add_row(
            model["name"],
            *(f"{f['mean']:.4f}\n{f['low']:.4f}-{f['high']:.4f}" for f in figures),
            f"{model['seconds']:.1f}",
        )
    return "\n".join(
        [
            f"{data['source']}: {data['ratings']:,} ratings of {data['users']:,} users, "
            f"{data['items']:,} movies, scale {data['scale']}",
            f"Protocol {report['protocol']}, seed {report['seed']}, "
            + ("tuned on the validation split" if report["tuned"] else "defaults, not tuned"),
            f"Trained on {test['train_events']:,} events of {test['train_users']:,} users. Evaluated on "
            f"{test['target_events']:,} held-out events of {test['evaluated_users']:,} users, folded in from "
            f"{test['known_events']:,} events. {data['catalogue']:,} movies ranked",
            _render(table, REPORT_WIDTH),
            *map(_comparison, report["comparisons"]),
        ]
    )


def _comparison(row: Mapping[str, Any]) -> str:
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
    difference = row["difference"]
    return (
        f"{row['model']} / {row['against']}: {ratio} in {row['metric'].upper()} of {row['users']} "
        f"{row['evaluated_users']:,} users, difference "
        f"{difference['mean']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"
    )


def _as_it_is(text: str) -> Text:
    """Return a text that others may have written: without markup, and nothing in it controls a terminal."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def _render(table: Table, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get().rstrip()
