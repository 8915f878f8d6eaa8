"""Opens the file of a study: one that was torn or that this code cannot continue ends no search."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import OptunaError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from dataflix_common.files import replace_file
from dataflix_trainer.tuning.search import GAIN

log = logging.getLogger(__name__)

# What was cut off, or a whole file that cannot be continued, is kept under this ending until the next time.
DAMAGED = ".damaged"
# What Optuna raises for well-formed lines that its present version does not understand.
_REPLAY_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, OptunaError, TypeError)


def open_journal(path: Path, study: str, space: Mapping[str, BaseDistribution]) -> JournalStorage:
    """Open the journal of a study, or begin a new one.

    Optuna appends whole lines, but a machine that stops in between leaves a part of one, and every later read
    would fail. The lines before the first that cannot be read are the state of an earlier moment: they stay.
    A journal of another version, or of a search over other parameters, is set aside.

    Args:
        path: of the file; its folder must exist.
        study: its name in the journal.
        space: what the search varies.

    Raises:
        OSError: the file cannot be read or written.
    """
    if path.exists():
        _cut_at_damage(path)
        if problem := _problem(path, study, space):
            path.replace(_damaged(path))
            log.warning("event=study_begins_anew reason=%r kept=%r", problem, str(_damaged(path)))
    return JournalStorage(JournalFileBackend(str(path)))


def _cut_at_damage(path: Path) -> None:
    # Under Optuna's own lock no other process is in the middle of a line.
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        content = path.read_bytes()
        good = _readable_length(content)
        if good < len(content):
            replace_file(_damaged(path), content[good:])
            os.truncate(path, good)
            log.warning(
                "event=study_repaired kept_bytes=%d cut_bytes=%d cut_to=%r",
                good,
                len(content) - good,
                str(_damaged(path)),
            )
    finally:
        lock.release()


def _readable_length(content: bytes) -> int:
    """Return how many bytes at the beginning are whole lines with a JSON object each."""
    good = 0
    for line in content.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or not isinstance(json.loads(line), dict):
                return good
        except (ValueError, RecursionError):
            return good
        good += len(line)
    return good


def _problem(path: Path, study: str, space: Mapping[str, BaseDistribution]) -> str:
    """Return why a search cannot continue the journal; empty when it can."""
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        studies = [found for found in storage.get_all_studies() if found.study_name == study]
        for found in studies:
            for trial in storage.get_all_trials(found._study_id, states=(TrialState.COMPLETE,)):
                _check_trial(trial, space)
    except (*_REPLAY_ERRORS, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _check_trial(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> None:
    """Raise ValueError unless a search over ``space`` could have made this trial."""
    if trial.distributions.keys() != space.keys():
        raise ValueError(f"trial {trial.number} varies other parameters")
    if trial.user_attrs.get(GAIN) is None:
        raise ValueError(f"trial {trial.number} has no {GAIN}")
    for name, distribution in space.items():
        check_distribution_compatibility(trial.distributions[name], distribution)


def _damaged(path: Path) -> Path:
    return path.with_name(path.name + DAMAGED)
