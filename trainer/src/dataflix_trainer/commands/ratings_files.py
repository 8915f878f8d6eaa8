"""Commands on a file of ratings; they need no service."""

import os
from pathlib import Path

from dataflix_trainer.commands.results import CommandResult
from dataflix_trainer.commands.tables import file_report
from dataflix_trainer.data.rating_scale import RatingScale
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.errors import ExportError
from dataflix_trainer.evaluation.file_evaluation import evaluate_candidates, split_ratings
from dataflix_trainer.evaluation.options import FileEvaluationOptions
from dataflix_trainer.evaluation.report_file import write_json
from dataflix_trainer.evaluation.sweep_report import write_sweeps
from dataflix_trainer.settings import (
    TrainingSettings,
    read_environment,
)
from dataflix_trainer.tuning.candidates import tune_candidates


def evaluate_file(
    path: Path,
    options: FileEvaluationOptions,
    *,
    scale: RatingScale | None,
    tuning_seconds: float | None,
    out: Path | None,
) -> CommandResult:
    """Measure the product's model and the baselines on a file of ratings.

    Args:
        path: of the ratings.
        options: protocol, cutoffs, seed and threads.
        scale: what the ratings mean; None recognises it.
        tuning_seconds: time for tuning all models; None measures their defaults.
        out: file for the whole report, if any.

    Raises:
        DataError: the file holds no ratings, or too few users.
        ExportError: ``out`` cannot be written.
    """
    # Found out before minutes of work, and without touching an older report.
    if out is not None and (not os.access(out.parent, os.W_OK) or out.is_dir()):
        raise ExportError(f"{out} can't be written: its folder must exist and be writable")
    if out is not None and _holds_ratings(out, path):
        raise ExportError(f"{out} is not written: it belongs to the ratings in {path}; name another file")
    ratings = read_ratings(path, scale)
    split = split_ratings(ratings, options)
    tuned = {} if tuning_seconds is None else tune_candidates(split.validation, options, tuning_seconds)
    report = evaluate_candidates(ratings, split, options, tuned)
    if out is not None:
        write_json(out, report)
    return CommandResult(report, file_report(report, options))


def _holds_ratings(out: Path, ratings: Path) -> bool:
    """Return whether a report at ``out`` would replace the ratings, or another file of their folder."""
    if not out.exists():
        return False
    in_folder = ratings.is_dir() and ratings.resolve() in out.resolve().parents
    # An earlier report may lie there.
    return (ratings.exists() and out.samefile(ratings)) or (in_folder and out.suffix.lower() != ".json")


def report(path: Path, out: Path, *, seed: int) -> CommandResult:
    """Plot quality against factors and regularization for every protocol.

    Raises:
        DataError: the file holds no ratings, or too few users.
        ExportError: a file cannot be written to ``out``.
        MissingExtraError: matplotlib is not installed.
    """
    threads = TrainingSettings.from_environ(read_environment()).threads
    files = write_sweeps(path, out, seed=seed, threads=threads)
    return CommandResult({"out": str(out)}, f"Wrote {', '.join(files)} to {out}")
