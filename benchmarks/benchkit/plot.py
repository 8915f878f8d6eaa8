"""Plots of figures (each run against its baseline) and of curves (how they grow)."""

from collections.abc import Sequence
from pathlib import Path

from benchkit.curves import Curve
from benchkit.figures import Figure

ROW_INCHES = 0.45
PANEL_INCHES = 3.6


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Write an SVG or PNG, by the suffix of ``path``. Figures that were not run are left out."""
    import matplotlib as mpl  # noqa: PLC0415  takes half a second, and only plots need it

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    shown = [figure for figure in figures if figure.ratio]
    height = 1.2 + ROW_INCHES * max(1, len(shown))
    canvas, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
    for row, figure in enumerate(reversed(shown)):
        ratio, baseline = figure.ratio or 0.0, figure.baseline or 1.0
        is_met = figure.target.is_met(ratio)
        colour = "tab:green" if is_met else "tab:red"
        axes.plot(
            [run / baseline for run in figure.runs], [row] * len(figure.runs), "o", color=colour, alpha=0.4
        )
        axes.plot([ratio], [row], "|", color=colour, markersize=16, markeredgewidth=2)
        axes.plot([figure.target.ratio], [row], ">" if figure.target.sense == ">=" else "<", color="black")
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [figure.name for figure in reversed(shown)])
    axes.set_xlabel("ours / baseline; triangle: target, points to better; green: met")
    axes.margins(y=0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path)
    pyplot.close(canvas)


def plot_curves(curves: Sequence[Curve], path: Path) -> None:
    """Write a plot of curves with logarithmic axes. A dot is a run, the line fits the last decade."""
    import matplotlib as mpl  # noqa: PLC0415  takes half a second, and only plots need it

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    panels = list(dict.fromkeys((curve.by, curve.unit) for curve in curves))
    height = PANEL_INCHES * max(1, len(panels))
    canvas, grid = pyplot.subplots(
        max(1, len(panels)), figsize=(9, height), layout="constrained", squeeze=False
    )
    for axes, (by, unit) in zip(grid[:, 0], panels, strict=False):
        for number, curve in enumerate(one for one in curves if (one.by, one.unit) == (by, unit)):
            colour = f"C{number}"
            places = [(point.at, run) for point in curve.points for run in point.runs]
            axes.plot(*zip(*places, strict=True), "o", color=colour, alpha=0.4)
            fit = curve.upper_fit()
            label = f"{curve.name}, exponent {fit}" if fit else curve.name
            ends = [fit.since, curve.last.at] if fit else [curve.last.at]
            heights = [
                curve.last.value * (end / curve.last.at) ** (fit.exponent if fit else 0) for end in ends
            ]
            axes.plot(ends, heights, "-", color=colour, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(by)
        axes.set_ylabel(unit)
        axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path)
    pyplot.close(canvas)
