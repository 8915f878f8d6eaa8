"""The process: one engine, one HTTP server, a clean end."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from dataflix_clickhouse import initialise
from dataflix_clickhouse.app import Application
from dataflix_clickhouse.engine import Engine
from dataflix_clickhouse.errors import DataDirError
from dataflix_clickhouse.settings import Settings
from dataflix_clickhouse.users import Authenticator

# ClickHouse's http_max_uri_size: a statement may travel in the URL.
MAX_HEADER_BYTES = 1 << 20
# What a running statement gets to finish when the server is told to stop; then it is cancelled.
GRACE_S = 10
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
                f"another server (process {holder}) already works on {data_dir}; stop it, or give another --path"
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
        SettingsError: the SQL of the init folder cannot be applied.
    """
    with locked(settings.data_dir):
        engine = Engine(settings.data_dir)
        try:
            if settings.init_dir is not None:
                initialise.apply(engine, settings.init_dir)
            timezone, name = engine.admin("SELECT timezone(), hostName()").data.decode().strip().split("\t")
            application = Application(engine, Authenticator(settings.passwords), timezone, name)
            uvicorn.Server(
                uvicorn.Config(
                    application,
                    host=settings.host,
                    port=settings.port,
                    http="h11",
                    ws="none",
                    loop="asyncio",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                    timeout_graceful_shutdown=GRACE_S,
                    timeout_keep_alive=KEEP_ALIVE_S,
                )
            ).run()
        finally:
            engine.close()
