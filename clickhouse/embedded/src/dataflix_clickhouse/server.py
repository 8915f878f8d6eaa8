"""The server process: one engine and one HTTP server, from start to clean stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import uvicorn

from dataflix_clickhouse.access import roles
from dataflix_clickhouse.access.accounts import ACCOUNTS, ADMIN, Authenticator
from dataflix_clickhouse.confinement import confine
from dataflix_clickhouse.engine.chdb_engine import Engine, open_in_memory
from dataflix_clickhouse.errors import QueryError, StartupError
from dataflix_clickhouse.http.app import Application
from dataflix_clickhouse.settings import Settings
from dataflix_clickhouse.sql import init_scripts
from dataflix_common.locks import LockHeldError, exclusive_lock

log = logging.getLogger(__name__)

LOCK_FILE = "dataflix.lock"
# ClickHouse's http_max_uri_size: a statement can be in the URL.
MAX_HEADER_BYTES = 1 << 20
# When the server stops: time for running statements to finish, then time to cancel them and send the error.
GRACE_S = 5
CANCEL_S = 5
# ClickHouse's keep_alive_timeout.
KEEP_ALIVE_S = 30


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartupError: the data folder or the address is in use, or the SQL of the init folder fails.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with (
        locked(settings.data_dir),
        suppress(_StopError),
        _bound_socket(settings) as listener,
    ):
        confine(settings.data_dir, [settings.init_dir] if settings.init_dir else [])
        with (
            _running_engine(settings) as engine,
            closing(Application(engine, Authenticator(settings.passwords), settings.data_dir)) as application,
        ):
            log.info("listening host=%s port=%d data=%s", settings.host, settings.port, settings.data_dir)
            _Server(application).run(sockets=[listener])
    log.info("stopped")


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Lock the data folder for this process; the lock file contains its process id.

    Raises:
        StartupError: the folder is not writable, or another process has locked it.
    """
    path = data_dir / LOCK_FILE
    with ExitStack() as stack:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive_lock(path))
            path.write_text(f"{os.getpid()}\n")
        except LockHeldError:
            holder = path.read_text(errors="replace").strip() or "unknown"
            raise StartupError(
                f"another server (process {holder}) uses {data_dir}: stop it, or pass another --path"
            ) from None
        except OSError as error:
            raise StartupError(f"cannot use the data folder {data_dir}: {error.strerror}") from error
        yield


class _StopError(Exception):
    """The process received a signal to stop."""


def _stop(number: int, _frame: object) -> None:
    # While the HTTP server runs, it has its own handler, which stops it and then calls this one. In both
    # cases the engine is closed next, and a second signal must not interrupt that.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise _StopError(signal.Signals(number).name)


@contextmanager
def _bound_socket(settings: Settings) -> Iterator[socket.socket]:
    """Bind the address before the engine starts; connections are refused until the server listens."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "choose another address with DATAFLIX_CLICKHOUSE_HOST and DATAFLIX_CLICKHOUSE_PORT"
        ) from error
    with listener:
        yield listener


class _Server(uvicorn.Server):
    """The HTTP server; when it stops, running statements get some time, then they are cancelled."""

    def __init__(self, application: Application) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_graceful_shutdown=GRACE_S + CANCEL_S,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, and wait until all are closed or the time is over."""
        timer = asyncio.get_running_loop().call_later(GRACE_S, self._application.cancel_all)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


@contextmanager
def _running_engine(settings: Settings) -> Iterator[Engine]:
    """Start the engine with the roles and tables of the init folder."""
    table_statements: list[str] = []
    if settings.init_dir is None:
        config = roles.existing_config(settings.data_dir)
    else:
        statements = init_scripts.read_statements(settings.init_dir)
        access_statements = [one for one in statements if init_scripts.is_access_statement(one)]
        table_statements = [one for one in statements if not init_scripts.is_access_statement(one)]
        with open_in_memory() as formatter:
            grants = roles.grants_by_role(access_statements, formatter.canonical)
            listed = formatter.run("SELECT name FROM system.tables WHERE database = 'system'")
            system_tables = listed.data.decode().split()
        missing = [account.role for account in ACCOUNTS if account.role not in grants]
        if missing:
            raise StartupError(f"{settings.init_dir} does not create the role {', '.join(missing)}")
        config = roles.write_config(settings.data_dir, grants, system_tables)
    engine = Engine(settings.data_dir, config, ADMIN.role)
    try:
        _run_init_statements(engine, table_statements)
        yield engine
    finally:
        engine.close()


def _run_init_statements(engine: Engine, statements: list[str]) -> None:
    for statement in statements:
        try:
            engine.run_as_admin(statement)
        except QueryError as error:
            raise StartupError(f"{error.text.strip()} in: {statement}") from error
    log.info("initialised statements=%d", len(statements))
