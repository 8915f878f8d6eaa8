"""Kills each service while users ask for recommendations: lists stay right, and the stack repairs itself."""

import threading
import time

import psutil
import pytest
import requests

from dataflix_testkit.long_mode import LONG_MODE
from dataflix_testkit.stack import Stack

# No list depends on Airflow, whose services take as much CPU time to start as all others.
AIRFLOW = ("airflow-scheduler", "airflow-dag-processor", "airflow-api-server")
# In this order. Postgres is last, because the others depend on it.
KILLED = (
    *("clickhouse", "s3", "mlflow", "trainer", "model-sync"),
    *(AIRFLOW if LONG_MODE else ()),
    *("backend", "postgres"),
)
# Airflow's scheduler takes half a minute to start on a busy machine, and its health page follows later.
HEALED_IN_S = 300
USERS = (1, 2, 3)
# Lists that must arrive for each user after a service was killed.
ROUNDS = 5
# A worker that has just started on a busy machine may take long for its first list; requests end sooner.
ANSWERED_IN_S = 120
TIMEOUT_S = 60
PAUSE_S = 0.05
POLL_S = 0.5


class Clients:
    """Asks for the lists of a few users in a thread, and keeps the responses."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url("BACKEND")
        self._headers = {"X-API-Key": stack.settings["DATAFLIX_API_KEY"]}
        self._stop = threading.Event()
        self.lists: dict[int, set[tuple[int, ...]]] = {}
        self.stale = self.answers = 0
        self.unanswered: list[str] = []
        self.refused: list[str] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._stop.wait(PAUSE_S):
            for user in USERS:
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
                    movies = tuple(row["movie_id"] for row in body["data"])
                    self.lists.setdefault(user, set()).add(movies)
                self.stale += body["meta"]["stale"]

    def __enter__(self) -> "Clients":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_rounds(self, when: str) -> None:
        """Wait until every user has been answered ROUNDS times from now."""
        # One round more: the current one may have been asked before now.
        wanted = self.answers + (ROUNDS + 1) * len(USERS)
        deadline = time.monotonic() + ANSWERED_IN_S
        while self.answers < wanted:
            problems = f"{len(self.unanswered)} unanswered, refused: {self.refused[-1:]}"
            assert self._thread.is_alive(), f"the clients stopped {when}; {problems}"
            assert time.monotonic() < deadline, f"too few answers {when}; {problems}"
            time.sleep(PAUSE_S)


def kill(pid: int) -> None:
    """Kill a service and its child processes, as the kernel does when memory runs out."""
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            # It ended with its parent.
            continue


def wait_until_healed(stack: Stack, killed: dict[str, int]) -> None:
    """Wait until each service is healthy in a new process."""
    deadline = time.monotonic() + HEALED_IN_S
    unhealthy = dict(killed)
    while unhealthy:
        unhealthy = {
            name: pid
            for name, pid in killed.items()
            if stack.pid(name) in (None, pid) or not stack.is_healthy(name)
        }
        assert time.monotonic() < deadline, f"not healed in {HEALED_IN_S} s: {list(unhealthy)}"
        time.sleep(POLL_S)


def running_pid(stack: Stack, service: str) -> int:
    pid = stack.pid(service)
    assert pid is not None, f"{service} is not running"
    return pid


@pytest.mark.timeout(1800)
def test_lists_stay_right_while_each_service_is_killed(stack: Stack) -> None:
    stack.wait_for_superset()
    before = {name: running_pid(stack, name) for name in KILLED}
    with Clients(stack) as clients:
        clients.wait_for_rounds("before the first kill")
        for name in KILLED:
            unanswered = len(clients.unanswered)
            kill(before[name])
            if name == "backend":
                # Only requests to the killed API itself may stay unanswered.
                wait_until_healed(stack, {name: before[name]})
                clients.wait_for_rounds(f"after {name} was restarted")
            else:
                clients.wait_for_rounds(f"while {name} was away")
                assert clients.unanswered[unanswered:] == [], f"while {name} was away"
        wait_until_healed(stack, before)
        clients.wait_for_rounds("at the end")
    assert clients.refused == []
    assert all(len(lists) == 1 for lists in clients.lists.values()), "a list changed while a service was away"
    assert clients.stale < clients.answers
