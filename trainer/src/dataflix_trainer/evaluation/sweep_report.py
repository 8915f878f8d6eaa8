"""Plots quality against factors and regularization, for every protocol, with the figures behind the plots."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataflix_recommender import metrics
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.errors import ExportError, MissingExtraError
from dataflix_trainer.evaluation.candidates import CANDIDATES, Candidate, Conditions, Params
from dataflix_trainer.evaluation.measurement import ndcg
from dataflix_trainer.evaluation.options import MAIN_CUTOFF
from dataflix_trainer.evaluation.protocols import PROTOCOLS, EvalSplit, counts_of
from dataflix_trainer.evaluation.report_file import write_json

log = logging.getLogger(__name__)

# Each parameter is varied alone, with the others at their defaults.
SWEEPS: Mapping[str, Sequence[float]] = {
    "factors": (8, 16, 32, 64, 128, 256),
    "regularization_scale": (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 5),
}
LABELS = {"factors": "factors", "regularization_scale": "regularization (multiple of the data's own scale)"}
SWEPT = ("als", "dataflix")
LEVELS = ("ease", "popular")
FIGURES_FILE = "figures.json"


def write_sweeps(path: Path, out: Path, *, seed: int, threads: int) -> list[str]:
    """Measure on the validation split of every protocol, and write plots and figures to the folder ``out``.

    Returns:
        The names of the files.

    Raises:
        DataError: ``path`` holds no ratings, or too few users.
        ExportError: a file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    pyplot = _pyplot()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{out} can't be created: {error}") from error
    ratings = read_ratings(path)
    figures: dict[str, Any] = {
        "source": ratings.facts["source"],
        "seed": seed,
        "metric": f"ndcg@{MAIN_CUTOFF}",
    }
    for name, split_by in PROTOCOLS.items():
        figures[name] = _measure(split_by(ratings, seed=seed).validation, Conditions(seed, threads))
        _plot(pyplot, name, figures[name], out / f"{name}.svg")
    write_json(out / FIGURES_FILE, figures)
    return [*(f"{name}.svg" for name in PROTOCOLS), FIGURES_FILE]


def _measure(splits: Sequence[EvalSplit], conditions: Conditions) -> dict[str, Any]:
    """Return the curves of the parameters that vary, and the levels of the baselines."""
    by_name = {candidate.name: candidate for candidate in CANDIDATES}
    curves = {
        parameter: {
            name: [
                {"at": value}
                | _figure(candidate, splits, {**candidate.defaults, parameter: value}, conditions)
                for value in values
            ]
            for name in SWEPT
            if (candidate := by_name.get(name)) is not None
        }
        for parameter, values in SWEEPS.items()
    }
    levels = {name: _figure(by_name[name], splits, by_name[name].defaults, conditions) for name in LEVELS}
    users = counts_of(splits)["evaluated_users"]
    return {"evaluated_users": users, "curves": curves, "levels": levels}


def _figure(
    candidate: Candidate, splits: Sequence[EvalSplit], params: Params, conditions: Conditions
) -> dict[str, float]:
    values = np.concatenate(
        [ndcg(candidate.fit(split, params, conditions), split, MAIN_CUTOFF) for split in splits]
    )
    mean, low, high = metrics.bootstrap_interval(values, seed=conditions.seed)
    log.info("event=figure model=%s params=%s ndcg=%.4f", candidate.name, dict(params), mean)
    return {"mean": mean, "low": low, "high": high}


def _plot(pyplot: Any, protocol: str, measured: Mapping[str, Any], file: Path) -> None:
    # The same figures give the same bytes.
    with pyplot.rc_context({"svg.hashsalt": "dataflix", "svg.fonttype": "none"}):
        drawing, axes = pyplot.subplots(1, len(SWEEPS), figsize=(11, 4), sharey=True, layout="constrained")
        for axis, (parameter, curves) in zip(axes, measured["curves"].items(), strict=True):
            for name, points in curves.items():
                at = [point["at"] for point in points]
                axis.plot(at, [point["mean"] for point in points], marker="o", label=name)
                axis.fill_between(
                    at, [p["low"] for p in points], [p["high"] for p in points], alpha=0.15, linewidth=0
                )
            for style, (name, level) in zip((":", "--"), measured["levels"].items(), strict=True):
                axis.axhline(level["mean"], color="grey", linestyle=style, label=f"{name}, default")
            axis.set_xscale("log")
            axis.set_xlabel(LABELS[parameter])
        axes[0].set_ylabel(f"NDCG@{MAIN_CUTOFF}, validation, 95 % interval")
        axes[0].legend()
        drawing.suptitle(f"Protocol {protocol}, {measured['evaluated_users']:,} users")
        try:
            drawing.savefig(file, metadata={"Date": None})
        except OSError as error:
            raise ExportError(f"{file} can't be written: {error}") from error
        finally:
            pyplot.close(drawing)


def _pyplot() -> Any:
    try:
        import matplotlib  # noqa: PLC0415 - the development environment alone has it
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib, which only the development environment has: "
            "scripts/environments.sh core-dev"
        ) from error
    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415 - reads the line above

    return pyplot
