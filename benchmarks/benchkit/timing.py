"""Measures works in turn, so that what slows the machine down for a while slows all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

Work = Callable[[], float]
"""Does something once and returns the figure of this run, seconds as a rule."""


def timed(action: Callable[[], object]) -> Work:
    """Return a work that tells the wall-clock seconds of ``action``."""

    def work() -> float:
        begun = time.perf_counter()
        action()
        return time.perf_counter() - begun

    return work


def in_turn(works: Mapping[str, Work], runs: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Run every work ``runs`` times, one after the other in each round; every other round goes backwards.

    With ``warm_up`` a first round is run and not counted.
    """
    names = list(works)
    found: dict[str, list[float]] = {name: [] for name in names}
    if warm_up:
        for name in names:
            works[name]()
    for number in range(runs):
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(works[name]())
    return found


def rates(amount: float, seconds: Sequence[float]) -> list[float]:
    """Return ``amount`` per second for each run."""
    return [amount / one for one in seconds]


__all__ = ["Work", "in_turn", "median", "rates", "timed"]
