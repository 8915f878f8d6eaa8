"""Random histories on the real engines: after each load the warehouse holds what is committed.

`DATAFLIX_TEST_HISTORIES` histories (150; 500 in the long mode), ten at a time on one table, with loads in
between of which some are killed. Hypothesis generates them, shrinks what fails and shows it;
`--hypothesis-seed=N` replays a run. `DATAFLIX_TEST_STEPS=10000`, which the long mode implies, adds so many
steps from `DATAFLIX_TEST_SEED`, which is printed.
"""

import os
import random
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflix_elt.loading.reconciliation import Verify
from dataflix_testkit.long_mode import short_or_long

from ..support.engines import Engines
from ..support.history import (
    CALLS,
    EVENTS,
    KEYS,
    LANES,
    WRITERS,
    WRITES,
    Event,
    History,
    Step,
    World,
    random_history,
)
from ..support.kills import WHEN

HISTORIES = int(os.environ.get("DATAFLIX_TEST_HISTORIES", short_or_long(40, 500)))
STEPS = int(os.environ.get("DATAFLIX_TEST_STEPS", short_or_long(0, 10_000)))
LENGTH = 24


def weighted(weights: dict[str, int]) -> st.SearchStrategy[str]:
    return st.sampled_from([kind for kind, weight in weights.items() for _ in range(weight)])


steps = st.builds(
    Step, weighted(WRITES), st.integers(0, WRITERS - 1), st.integers(0, KEYS - 1), st.integers(0, 999)
)
events = st.builds(Event, weighted(EVENTS), st.integers(0, LENGTH - 1), st.integers(0, CALLS * len(WHEN) - 1))
histories = st.builds(
    History,
    st.lists(st.lists(steps, min_size=6, max_size=LENGTH), min_size=LANES, max_size=LANES),
    st.lists(events, min_size=3, max_size=6),
)


class Reader(threading.Thread):
    """Polls a table, and keeps every answer that is no number of rows."""

    def __init__(self, engines: Engines, table: str) -> None:
        super().__init__(daemon=True)
        self._client = engines.warehouse_server.client("dbt", autogenerate_session_id=False)
        self._query = f"select count() from raw.{table} final"
        self._done = threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def run(self) -> None:
        # Twenty a second: more would take the cores from the loads.
        while not self._done.wait(0.05):
            try:
                ((_,),) = self._client.query(self._query).result_rows
                self.answers += 1
            except Exception as error:  # noqa: BLE001  that none comes is what is tested
                self.failures.append(str(error))

    def stop(self) -> None:
        self._done.set()
        self.join()
        self._client.close()


@pytest.fixture(scope="module")
def world(engines: Engines) -> Iterator[World]:
    made = World(engines)
    made.load(Verify.CONTENT)
    reader = Reader(engines, made.table.name)
    reader.start()
    yield made
    made.close()
    reader.stop()
    assert reader.failures == []
    assert reader.answers > 0


# Minutes, on a machine that runs other tests.
@pytest.mark.timeout(3600)
@settings(
    max_examples=-(-HISTORIES // LANES),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(history=histories)
def test_source_and_warehouse_are_equal_after_any_history(world: World, history: History) -> None:
    world.live(history)


@pytest.mark.skipif(not STEPS, reason="neither --long nor DATAFLIX_TEST_STEPS asks for a long history")
@pytest.mark.timeout(4 * 3600)
def test_source_and_warehouse_are_equal_after_a_long_history(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("DATAFLIX_TEST_SEED", random.SystemRandom().randrange(2**32)))
    with capsys.disabled():
        sys.stdout.write(f"\nDATAFLIX_TEST_SEED={seed}\n")
    world.live(random_history(random.Random(seed), -(-STEPS // LANES)))
    with capsys.disabled():
        sys.stdout.write(f"{STEPS} steps, {world.loads} loads, and {world.kills} that were killed\n")
