"""Interleaved measurements: what slows the machine down for a while slows all tasks."""

import time
from collections.abc import Callable, Mapping, Sequence

Task = Callable[[], float]
"""Does something once and returns the figure of this run, usually seconds."""


def timed(action: Callable[[], object]) -> Task:
    """Return a task that runs ``action`` and returns its wall-clock seconds."""

    def task() -> float:
        begun = time.perf_counter()
        action()
        return time.perf_counter() - begun

    return task


def run_interleaved(tasks: Mapping[str, Task], runs: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Run all tasks once in each of ``runs`` rounds; every other round goes backwards.

    Args:
        tasks: The tasks by name.
        runs: The number of rounds.
        warm_up: Whether a first round is run and not counted.

    Returns:
        The figures of each task.
    """
    names = list(tasks)
    figures: dict[str, list[float]] = {name: [] for name in names}
    if warm_up:
        for name in names:
            tasks[name]()
    for number in range(runs):
        for name in names if number % 2 == 0 else reversed(names):
            figures[name].append(tasks[name]())
    return figures


def rates(amount: float, seconds: Sequence[float]) -> list[float]:
    """Return ``amount`` per second for each run."""
    return [amount / one for one in seconds]
