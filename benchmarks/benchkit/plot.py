"""A plot of figures: how each run compares with its yardstick, and where the goal is."""

from collections.abc import Sequence
from pathlib import Path

from benchkit.figures import Figure

ROW_INCHES = 0.45


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Write an SVG or PNG, as the name of ``path`` says; a figure that was not run is left out."""
    import matplotlib as mpl  # noqa: PLC0415  takes half a second, and is wanted only here

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    shown = [figure for figure in figures if figure.ratio]
    height = 1.2 + ROW_INCHES * max(1, len(shown))
    canvas, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
    for row, figure in enumerate(reversed(shown)):
        ratio, yardstick = figure.ratio or 0.0, figure.yardstick or 1.0
        is_met = figure.goal.is_met(ratio)
        colour = "tab:green" if is_met else "tab:red"
        axes.plot(
            [run / yardstick for run in figure.runs], [row] * len(figure.runs), "o", color=colour, alpha=0.4
        )
        axes.plot([ratio], [row], "|", color=colour, markersize=16, markeredgewidth=2)
        axes.plot([figure.goal.ratio], [row], ">" if figure.goal.sense == ">=" else "<", color="black")
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [figure.name for figure in reversed(shown)])
    axes.set_xlabel("ours / yardstick; triangle: goal and where better is; green: met")
    axes.margins(y=0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path)
    pyplot.close(canvas)
