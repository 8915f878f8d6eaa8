"""The command ``trainer benchmark``: options in, a JSON file and a table out."""

import json
import os
from pathlib import Path

from dataflix_trainer.errors import ExportError, SettingsError
from dataflix_trainer.evaluation.file_evaluation import Settings, benchmark
from dataflix_trainer.evaluation.table import rendered

# A list longer than this is no list that anybody looks at, and its memory is users times this.
MAX_CUTOFF = 1000


def run(
    ratings: Path,
    out: Path,
    *,
    protocol: str,
    cutoffs: str,
    seed: int,
    tune: bool,
    budget: float,
    threads: int | None,
) -> str:
    """Measure, write the report to ``out`` and return it as text.

    Raises SettingsError for cutoffs that are none, DataError for the ratings, ExportError for ``out``.
    """
    settings = Settings(
        protocol, _cutoffs(cutoffs), seed, threads or len(os.sched_getaffinity(0)), tune, budget
    )
    # Before minutes of work, and without touching an older report.
    if not os.access(out.parent, os.W_OK) or out.is_dir():
        raise ExportError(f"{out} can't be written: its folder must exist and be writable")
    report = benchmark(ratings, settings)
    write_json(out, report)
    main = settings.tuned_cutoff
    names = [f"ndcg@{k}" for k in settings.cutoffs]
    names += [f"{name}@{main}" for name in ("recall", "coverage", "novelty", "diversity", "gini")]
    return rendered(report, names)


def write_json(out: Path, document: object) -> None:
    """Replace ``out`` by ``document`` in one step; raises ExportError."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        beside.replace(out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ExportError(f"{out} can't be written: {error}") from error


def _cutoffs(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= MAX_CUTOFF for part in parts):
        raise SettingsError(f"--k must be whole numbers from 1 to {MAX_CUTOFF} with commas, not {text!r}")
    return tuple(sorted({int(part) for part in parts}))
