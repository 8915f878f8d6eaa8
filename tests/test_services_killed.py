"""Every service killed in turn while people ask: lists stay right, and the stack heals without hands."""

import json
import threading
import time
from typing import Any

import psutil
import pytest
import requests

from dataflix_testkit.stack import Stack

# In the order in which they are killed; Postgres last, because the others lean on it.
KILLED = (
    *("clickhouse", "s3", "mlflow", "trainer", "model-sync"),
    *("airflow-scheduler", "airflow-dag-processor", "airflow-api-server", "backend", "postgres"),
)
# Airflow's scheduler takes half a minute to start on a busy machine, and its health page follows later.
HEALED_IN_S = 300
ASKED_FOR_S = 2.0
# A worker that has just started on a busy machine may take long for its first list; requests end sooner.
ANSWERED_IN_S = 120
TIMEOUT_S = 60
PAUSE_S = 0.05


class People:
    """Asks for the lists of a few users without end, and keeps what came."""

    def __init__(self, stack: Stack, users: int = 3) -> None:
        self._url = stack.url("BACKEND")
        self._headers = {"X-API-Key": stack.settings["DATAFLIX_API_KEY"]}
        self._stop = threading.Event()
        self.lists: dict[int, set[tuple[int, ...]]] = {}
        self.stale = self.answers = 0
        self.unanswered: list[str] = []
        self.refused: list[str] = []
        self._thread = threading.Thread(target=self._ask, args=(users,))

    def _ask(self, users: int) -> None:
        while not self._stop.wait(PAUSE_S):
            for user in range(1, users + 1):
                try:
                    answer = requests.get(
                        f"{self._url}/recommendations/{user}", headers=self._headers, timeout=TIMEOUT_S
                    )
                except requests.RequestException as error:
                    self.unanswered.append(repr(error))
                    continue
                if answer.status_code != requests.codes.ok:
                    self.refused.append(f"{answer.status_code}: {answer.text}")
                    continue
                body = answer.json()
                self.answers += 1
                if not body["meta"]["stale"] or body["meta"]["as_of"]:
                    films = tuple(row["movie_id"] for row in body["data"])
                    self.lists.setdefault(user, set()).add(films)
                self.stale += body["meta"]["stale"]

    def __enter__(self) -> "People":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_answers(self, asked: int, away: str) -> None:
        """Wait for more answers than there were when a service was killed."""
        deadline = time.monotonic() + ANSWERED_IN_S
        while self.answers <= asked:
            told = f"{len(self.unanswered)} unanswered, refused: {self.refused[-1:]}"
            assert self._thread.is_alive(), f"the asking ended while {away} was away; {told}"
            assert time.monotonic() < deadline, f"nobody was answered while {away} was away; {told}"
            time.sleep(PAUSE_S)


def services(stack: Stack) -> dict[str, Any]:
    result = stack.command("run.sh", "status", "--json")
    return {row["name"]: row for row in json.loads(result.stdout)["services"]}


def kill(pid: int) -> None:
    """End a service and what it started, as the kernel does when memory runs out."""
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            # It went with its parent.
            continue


def wait_until_healed(stack: Stack, killed: dict[str, int]) -> None:
    deadline = time.monotonic() + HEALED_IN_S
    while True:
        rows = services(stack)
        ill = [name for name, pid in killed.items() if not rows[name]["healthy"] or rows[name]["pid"] == pid]
        if not ill:
            return
        assert time.monotonic() < deadline, f"not healed in {HEALED_IN_S} s: {ill}"
        time.sleep(1)


@pytest.mark.timeout(1800)
def test_every_service_is_killed_while_people_ask(stack: Stack) -> None:
    if stack.data != "sample":
        pytest.skip("once is enough; the sample's stack has seen it")
    stack.wait_for_superset()
    before = services(stack)
    with People(stack) as people:
        time.sleep(ASKED_FOR_S)
        for name in KILLED:
            asked, unanswered = people.answers, len(people.unanswered)
            kill(before[name]["pid"])
            time.sleep(ASKED_FOR_S)
            if name == "backend":
                # Whoever asked while the API itself was dead heard nothing; nobody else did.
                wait_until_healed(stack, {name: before[name]["pid"]})
            else:
                people.wait_for_answers(asked, name)
                assert people.unanswered[unanswered:] == [], f"while {name} was away"
        wait_until_healed(stack, {name: before[name]["pid"] for name in KILLED})
        time.sleep(ASKED_FOR_S)
    assert people.refused == []
    assert all(len(lists) == 1 for lists in people.lists.values()), "a list changed while a service was away"
    assert people.stale < people.answers
