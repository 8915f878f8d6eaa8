"""Loads and erasures in processes of their own, which kill themselves (SIGKILL) at a chosen moment.

A moment is the n-th call of either engine: just before it, just after it, or, for an insert, halfway. The
processes are forked from one that has imported everything, so a process costs a twentieth of a second.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure.erase import erase
from dataflix_elt.loading.load import load
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.tables import Table

_METHODS = {
    clickhouse.Session: ("query", "command", "insert"),
    postgres.Session: ("advisory_lock", "begin", "begin_read_committed", "rows", "execute", "copy"),
}

# The folder of this package.
_PACKAGES = str(Path(__file__).resolve().parents[__name__.count(".")])

WHEN = ("before", "middle", "after")


@dataclass(frozen=True)
class Moment:
    """When a load is to be killed."""

    call: int
    when: str


class _Death:
    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._calls = 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self._calls += 1
            is_last = self._calls == self._moment.call
            if is_last and self._moment.when == "before":
                _die()
            if is_last and self._moment.when == "middle" and call.__name__ == "insert":
                *others, chunks = arguments
                arguments = (*others, _torn(chunks))
            answer = call(*arguments, **named)
            if is_last:
                _die()
            return answer

        return counted


def _torn(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[: len(chunk) // 2]
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _load(
    table: Table,
    source: SourceSettings,
    warehouse: WarehouseSettings,
    options: dict[str, Any],
    moment: Moment,
) -> None:
    death = _Death(moment)
    for cls, names in _METHODS.items():
        for name in names:
            setattr(cls, name, death.around(getattr(cls, name)))
    load(table, source_settings=source, warehouse_settings=warehouse, run_id="killed", **options)


def load_and_kill(
    table: Table,
    source: SourceSettings,
    warehouse: WarehouseSettings,
    moment: Moment,
    *,
    full: bool = False,
    verify: Verify = Verify.KEYS,
) -> bool:
    """Load in another process; returns whether it was killed, and False if it ended before."""
    return _is_killed(_load, table, source, warehouse, {"full": full, "verify": verify}, moment)


def _erase(source: SourceSettings, warehouse: WarehouseSettings, command: str, when: str) -> None:
    call = clickhouse.Session.command

    def deadly(session: clickhouse.Session, statement: str) -> None:
        if command in statement and when == "before":
            _die()
        call(session, statement)
        if command in statement:
            _die()

    setattr(clickhouse.Session, "command", deadly)  # noqa: B010 - mypy allows no other way
    erase(source, warehouse, None)


def erase_and_kill(source: SourceSettings, warehouse: WarehouseSettings, command: str, when: str) -> bool:
    """Erase in another process, which is killed before or after the first command with a text."""
    return _is_killed(_erase, source, warehouse, command, when)


def _is_killed(work: Callable[..., None], *arguments: object) -> bool:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=work, args=arguments)
    # The process that they are forked from imports this module by its name, which only pytest finds.
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", _PACKAGES, prepend=os.pathsep)
        process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}, f"it failed with {process.exitcode}"
    return process.exitcode != 0
