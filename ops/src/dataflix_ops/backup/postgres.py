"""Backup of the four databases by pg_dump and pg_restore. Roles and grants come from `postgres/init`."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import new_file
from dataflix_stack.services import postgres

# The application's database has a configurable name.
SERVICE_DATABASES = ("airflow", "mlflow", "superset")
_KEY_TABLE = "pii.hmac_key"
FOLDER = "postgres"


@dataclass(frozen=True)
class Server:
    """Where Postgres is, and the password of its role postgres.

    Attributes:
        environ: the variables of `postgres/init`: passwords and the key.
    """

    host: str
    port: int
    dbname: str
    password: str = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    @property
    def databases(self) -> tuple[str, ...]:
        """The names of all databases."""
        return (self.dbname, *SERVICE_DATABASES)


def dump(server: Server, folder: Path, *, with_key: bool) -> None:
    """Write each database into a file. Each file is a consistent snapshot.

    Raises:
        BackupError: pg_dump failed.
    """
    for name in server.databases:
        exclusions = [] if with_key else [f"--exclude-table-data={_KEY_TABLE}"]
        # The file of the application's database has the same name in every backup.
        file = "dataflix" if name == server.dbname else name
        with new_file(folder / FOLDER / f"{file}.dump") as out:
            _run(server, "pg_dump", ["--format=custom", *exclusions, f"--dbname={name}"], out)


def restore(server: Server, folder: Path) -> None:
    """Replace the databases by those of a backup.

    Raises:
        BackupError: pg_restore failed; the databases are incomplete, and the restore must run again.
        StackError: a file of `postgres/init` failed.
    """
    # Roles belong to the server, and no dump holds them.
    _apply_init(server)
    connection = psycopg2.connect(
        host=server.host, port=server.port, dbname="postgres", user="postgres", password=server.password
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in server.databases:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{server.dbname}"')
    connection.close()
    _load(server, folder, server.dbname, "dataflix")
    # Dumps hold no grants on databases, and the key only on request. This creates both, and the other
    # databases with their owners.
    _apply_init(server)
    for name in SERVICE_DATABASES:
        _load(server, folder, name, name)


def _load(server: Server, folder: Path, dbname: str, file: str) -> None:
    dumped = str(folder / FOLDER / f"{file}.dump")
    _run(server, "pg_restore", ["--exit-on-error", f"--dbname={dbname}", dumped])


def _apply_init(server: Server) -> None:
    postgres.apply_init(
        host=server.host,
        port=server.port,
        dbname=server.dbname,
        password=server.password,
        environ=server.environ,
    )


def _run(server: Server, program: str, arguments: list[str], out: object = None) -> None:
    command = [
        *(
            str(postgres.binaries() / program),
            "--no-password",
            f"--host={server.host}",
            f"--port={server.port}",
        ),
        *("--username=postgres", *arguments),
    ]
    environ = {"PATH": os.environ.get("PATH", os.defpath), "PGPASSWORD": server.password}
    result = subprocess.run(
        command,
        env=environ,
        stdout=out or subprocess.DEVNULL,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        check=False,
    )
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        # The first line names the object; later lines may show rows.
        raise BackupError(f"{program} failed: {lines[0] if lines else 'no message'}")
