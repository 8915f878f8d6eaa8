"""Postgres clusters that tests stop, copy, promote and damage."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from dataflix_elt.settings import SourceSettings
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.postgres import CLUSTER_SETTINGS
from dataflix_testkit.process import clean_environ, server_process


@contextmanager
def started(data: Path, like: PostgresServer) -> Iterator[PostgresServer]:
    """Run the cluster in a folder, with the passwords of the server that it was copied from."""
    port = free_port()
    server = PostgresServer("127.0.0.1", port, like.dbname, {**like.environ}, data)
    server.environ["DATAFLIX_POSTGRES_PORT"] = str(port)

    def ready() -> bool:
        try:
            psycopg2.connect(server.dsn("postgres", "postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    # A standby does not start with fewer connections or prepared transactions than its original.
    command = cluster.server_command(data, "127.0.0.1", port, CLUSTER_SETTINGS)
    log = data.with_suffix(".log")
    with server_process(command, ready=ready, log=log, environ=clean_environ({}), stop_signal=signal.SIGINT):
        yield server


def backed_up(server: PostgresServer, data: Path, *, standby: bool = False) -> Path:
    """Copy a running cluster's files as a backup does; with `standby`, the copy follows the original."""
    options = ["-d", server.dsn("postgres", "postgres"), "-D", str(data), "--checkpoint=fast", "-X", "stream"]
    run("pg_basebackup", *options, *(["-R"] if standby else []))
    return data


def run(program: str, *arguments: str) -> None:
    """Run one of Postgres' programs as the user that owns its files."""
    command = cluster.as_postgres_user([str(cluster.binaries() / program), *arguments])
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def source(server: PostgresServer) -> SourceSettings:
    return SourceSettings.from_environ(server.environ)
