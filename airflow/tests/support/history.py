"""A history of a table: what concurrent writers do to it, step by step, with loads in between.

A table has ten lanes, each with a history of its own: three writers and their keys. They share the loads.
Each writer has its own keys, so no statement waits for another writer's transaction. Transactions overlap and
commit in any order, with savepoints, prepared, or rolled back.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INERROR
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_elt.loading import incremental
from dataflix_elt.loading.reconciliation import Verify

from .engines import Engines
from .kills import WHEN, Moment, load_and_kill

LANES = 10
WRITERS = 3
KEYS = 4
# Of the calls a load makes, there are fewer than this.
CALLS = 50

# What writers do, and how often in 100 steps.
WRITES = {
    "insert": 24,
    "update": 15,
    "delete": 13,
    "move": 7,
    "begin": 13,
    "commit": 13,
    "rollback": 4,
    "savepoint": 5,
    "rollback to savepoint": 3,
    "prepare": 3,
}
# What happens to all lanes, and how often in 100 events.
EVENTS = {"load": 50, "kill": 40, "truncate": 10}


@dataclass(frozen=True)
class Step:
    """One action of a writer: numbers say on which key, and with which value."""

    kind: str
    writer: int
    key: int
    number: int


@dataclass(frozen=True)
class Event:
    """One thing that happens to the table, before the step with this index in each lane."""

    kind: str
    place: int
    number: int


@dataclass(frozen=True)
class History:
    """The steps of each lane, and what happens meanwhile."""

    lanes: list[list[Step]]
    events: list[Event]


def random_history(dice: random.Random, length: int) -> History:
    """Return a history with `length` steps in each lane and one event per eight steps."""

    def chosen(weights: dict[str, int]) -> str:
        return dice.choices(list(weights), weights=list(weights.values()))[0]

    def step() -> Step:
        return Step(chosen(WRITES), dice.randrange(WRITERS), dice.randrange(KEYS), dice.randrange(1000))

    def event() -> Event:
        return Event(chosen(EVENTS), dice.randrange(length), dice.randrange(CALLS * len(WHEN)))

    lanes = [[step() for _ in range(length)] for _ in range(LANES)]
    return History(lanes, [event() for _ in range(length // 8)])


class World:
    """A table, its writers, and its copy in the warehouse."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.table, self.base = engines.add_captured_table()
        self._writers = [_Writer(engines, self.base, number) for number in range(LANES * WRITERS)]
        self.loads = 0
        self.kills = 0

    def live(self, history: History) -> None:
        """Start with an empty table, do all steps, end every transaction, and compare both sides."""
        self._settle()
        self.engines.sql(f"delete from {self.base}")
        for place in range(max(map(len, history.lanes), default=0)):
            for event in history.events:
                if event.place == place:
                    self._happen(event)
            for lane, steps in enumerate(history.lanes):
                if place < len(steps):
                    self._writers[lane * WRITERS + steps[place].writer].do(steps[place])
        self._settle()
        self.load(Verify.CONTENT)

    def load(self, verify: Verify) -> None:
        """Load, and compare the copy with what is committed at this moment."""
        # In turns, the load reads the whole raw table, or only the changed keys as for a large one.
        with patch.object(incremental, "_SMALL_SHARE", (0.0, 10.0)[self.loads % 2]):
            result = self.engines.load(self.table, verify=verify)
        self.loads += 1
        source, copy = self.engines.both(self.table, self.base)
        assert source == copy
        assert result.rows == len(source)

    def close(self) -> None:
        self._settle()
        for writer in self._writers:
            writer.connection.close()

    def _happen(self, event: Event) -> None:
        match event.kind:
            case "load":
                self.load(Verify.KEYS)
            case "kill":
                call, when = divmod(event.number, len(WHEN))
                # One in six is killed while it loads the whole table.
                self.kills += load_and_kill(
                    self.table,
                    self.engines.source,
                    self.engines.warehouse,
                    Moment(call + 1, WHEN[when]),
                    full=event.number % 6 == 0,
                )
            case "truncate":
                # TRUNCATE waits for every open transaction that has touched the table.
                self._settle()
                self.engines.sql(f"truncate {self.base}")

    def _settle(self) -> None:
        """End every open transaction, some by commit, some by rollback."""
        for writer in self._writers:
            writer.settle()


@dataclass
class _Writer:
    engines: Engines
    base: str
    number: int
    connection: Connection = field(init=False)
    is_open: bool = False
    savepoints: int = 0
    prepared: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = psycopg2.connect(self.engines.source_server.dsn("postgres"))
        self.connection.autocommit = True

    def do(self, step: Step) -> None:
        actions: dict[str, Callable[[Step], None]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "move": self._move,
            "begin": self._begin,
            "commit": self._commit,
            "rollback": self._rollback,
            "savepoint": self._savepoint,
            "rollback to savepoint": self._rollback_to,
            "prepare": self._prepare,
        }
        actions[step.kind](step)

    def settle(self) -> None:
        if self.connection.info.transaction_status == TRANSACTION_STATUS_INERROR:
            # A failed history must not make the next one fail.
            self._end("rollback")
        self._end("commit")
        while self.prepared:
            self._finish_prepared("rollback" if len(self.prepared[0]) % 2 else "commit")

    def _key(self, key: int) -> tuple[int, str]:
        # A comma and quotes, since keys are also compared as text.
        return self.number * 2 + key % 2, ("a,'b", "")[key // 2 % 2]

    def _insert(self, step: Step) -> None:
        self._write(
            f"insert into {self.base} values (%s, %s, %s)"
            " on conflict (id, part) do update set value = excluded.value",
            step,
            *self._key(step.key),
            step.number,
        )

    def _update(self, step: Step) -> None:
        self._write(
            f"update {self.base} set value = %s where id = %s", step, step.number, self._key(step.key)[0]
        )

    def _delete(self, step: Step) -> None:
        self._write(f"delete from {self.base} where (id, part) = (%s, %s)", step, *self._key(step.key))

    def _move(self, step: Step) -> None:
        """Give a row another key of this writer; if that key exists, nothing happens."""
        there = self._key(step.key + 1 + step.number % (KEYS - 1))
        self._write(
            f"update {self.base} as old set id = %s, part = %s where (id, part) = (%s, %s)"
            f" and not exists (select from {self.base} where (id, part) = (%s, %s))",
            step,
            *there,
            *self._key(step.key),
            *there,
        )

    def _write(self, statement: str, step: Step, *values: Any) -> None:
        # A prepared transaction holds locks on its rows; a writer that would wait for them does nothing.
        if not self.prepared:
            self._sql(statement, *values)

    def _begin(self, _: Step) -> None:
        if not self.is_open:
            self._sql("begin")
            self.is_open = True

    def _commit(self, _: Step) -> None:
        if self.prepared and not self.is_open:
            self._finish_prepared("commit")
        else:
            self._end("commit")

    def _rollback(self, _: Step) -> None:
        if self.prepared and not self.is_open:
            self._finish_prepared("rollback")
        else:
            self._end("rollback")

    def _end(self, how: str) -> None:
        if self.is_open:
            self._sql(how)
        self.is_open, self.savepoints = False, 0

    def _savepoint(self, _: Step) -> None:
        if self.is_open:
            self.savepoints += 1
            self._sql(f"savepoint s{self.savepoints}")

    def _rollback_to(self, _: Step) -> None:
        if self.savepoints:
            self._sql(f"rollback to s{self.savepoints}")

    def _prepare(self, step: Step) -> None:
        if self.is_open and not self.prepared:
            name = f"{self.base}_{self.number}_{step.number}"
            self._sql(f"prepare transaction '{name}'")
            self.prepared.append(name)
            self.is_open, self.savepoints = False, 0

    def _finish_prepared(self, how: str) -> None:
        self._sql(f"{how} prepared '{self.prepared.pop()}'")

    def _sql(self, statement: str, *values: Any) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
