"""The process: one engine, one HTTP server, a clean end."""

import asyncio
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import uvicorn

from dataflix_clickhouse import initialise, roles
from dataflix_clickhouse.app import Application
from dataflix_clickhouse.engine import Engine, scratch
from dataflix_clickhouse.errors import DataDirError, SettingsError
from dataflix_clickhouse.settings import Settings
from dataflix_clickhouse.users import ACCOUNTS, ADMIN, Authenticator

log = logging.getLogger(__name__)

# ClickHouse's http_max_uri_size: a statement may travel in the URL.
MAX_HEADER_BYTES = 1 << 20
# What a running statement gets to finish when the server is told to stop, then to be cancelled and told so.
GRACE_S = 5
CANCEL_S = 5
# ClickHouse's keep_alive_timeout.
KEEP_ALIVE_S = 30


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this process alone.

    Raises:
        DataDirError: the folder cannot be written, or another process holds it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "dataflix.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataDirError(f"cannot use the data folder {data_dir}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            raise DataDirError(
                f"another server (process {holder}) works on {data_dir}: stop it, or give another --path"
            ) from None
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        DataDirError: the data folder cannot be used.
        SettingsError: the address is taken, or the SQL of the init folder cannot be applied.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with (
        locked(settings.data_dir),
        suppress(_StopError),
        _bound(settings) as listener,
        _engine(settings) as engine,
        closing(Application(engine, Authenticator(settings.passwords), settings.data_dir)) as application,
    ):
        log.info("listening host=%s port=%d data=%s", settings.host, settings.port, settings.data_dir)
        _Server(application).run(sockets=[listener])
    log.info("stopped")


class _StopError(Exception):
    """The process was told to stop."""


def _stop(number: int, _frame: object) -> None:
    # While it runs, the HTTP server has a handler of its own, which ends it and then passes the signal on to
    # this one. Either way the engine is closed on the way out, and a second signal must not interrupt that.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise _StopError(signal.Signals(number).name)


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """Take the address before the engine starts, but refuse connections until it has."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "choose another address with DATAFLIX_CLICKHOUSE_HOST and DATAFLIX_CLICKHOUSE_PORT"
        ) from error
    with listener:
        yield listener


class _Server(uvicorn.Server):
    """The HTTP server; when it is told to stop, running statements get some time, then they are cancelled."""

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
        """Stop accepting, and return when every connection is closed or out of time."""
        timer = asyncio.get_running_loop().call_later(GRACE_S, self._application.cancel_all)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    others: list[str] = []
    if settings.init_dir is None:
        config = roles.existing(settings.data_dir)
    else:
        statements = initialise.statements_of(settings.init_dir)
        others = [statement for statement in statements if not initialise.is_about_access(statement)]
        with scratch() as formatter:
            found = roles.collect(filter(initialise.is_about_access, statements), formatter.canonical)
        missing = [account.role for account in ACCOUNTS if account.role not in found]
        if missing:
            raise SettingsError(f"{settings.init_dir} makes no role {', '.join(missing)}")
        config = roles.write(settings.data_dir, found)
    engine = Engine(settings.data_dir, config, ADMIN.role)
    try:
        initialise.apply(engine, others)
        yield engine
    finally:
        engine.close()
