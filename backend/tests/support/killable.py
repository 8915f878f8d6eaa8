"""A Postgres that tests kill and start again on its own data, with the durability of a real one."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.postgres import cluster_settings
from dataflix_testkit.process import START_TIMEOUT_S, clean_environ


class KillablePostgres:
    """One cluster; ``server`` says where it is."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        environ = cluster_settings(port)
        self.server = PostgresServer("127.0.0.1", port, "dataflix", environ, folder / "data")
        self._log = folder / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        password = environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"]
        cluster.create_cluster(self.server.data, password)
        self.start()
        cluster.apply_init(host="127.0.0.1", port=port, dbname="dataflix", password=password, environ=environ)

    def start(self) -> None:
        """Start it and wait until it answers; after a kill, its last children may live a moment longer."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            if self._process is None or self._process.poll() is not None:
                command = cluster.server_command(self.server.data, "127.0.0.1", self.server.port)
                with self._log.open("ab") as log:
                    self._process = subprocess.Popen(
                        command, stdout=log, stderr=subprocess.STDOUT, env=clean_environ({})
                    )
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self._process is not None
        # Its children live a moment longer and would answer. While it is stopped, it starts no new ones.
        self._process.send_signal(signal.SIGSTOP)
        kill_children(self._process.pid)
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Shut it down."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            if self._process.poll() is None:
                self.kill()

    def _answers(self) -> bool:
        if self._process is None:
            return False
        try:
            psycopg2.connect(self.server.dsn("postgres", "postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def killable_postgres() -> Iterator[KillablePostgres]:
    """Run a cluster until the block ends."""
    with tempfile.TemporaryDirectory(prefix="dataflix-pg-", ignore_cleanup_errors=True) as folder:
        running = KillablePostgres(Path(folder))
        try:
            yield running
        finally:
            running.stop()


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def kill_children(pid: int) -> list[int]:
    """Kill the children of a process; returns their ids."""
    killed = children(pid)
    for child in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return killed
