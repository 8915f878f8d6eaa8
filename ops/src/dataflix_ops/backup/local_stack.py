"""The stores of the local stack: connections to them, and how to run them without the other services."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import clickhouse_connect
from botocore.config import Config
from clickhouse_connect.driver.exceptions import ClickHouseError

from dataflix_ops.backup.archive import STATE_FILE, Stores
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.postgres import Server
from dataflix_stack.config.settings import Settings, prepare_home
from dataflix_stack.config.state import State, state_file
from dataflix_stack.services import preparation
from dataflix_stack.services.startup import start
from dataflix_stack.services.supervisor import Supervisor


def open_stores(settings: Settings) -> Stores:
    """Connect to the stores of a running stack.

    Raises:
        BackupError: ClickHouse can't be used.
    """
    # It logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        client = clickhouse_connect.get_client(
            host=settings["CLICKHOUSE_HOST"],
            port=settings.port("CLICKHOUSE"),
            username="dataflix_admin",
            password=settings["CLICKHOUSE_ADMIN_PASSWORD"],
            autogenerate_session_id=False,
            # Reading a large table takes time.
            send_receive_timeout=3600,
        )
    except ClickHouseError:
        raise BackupError("ClickHouse can't be used; ./run.sh status shows every service.") from None
    storage = boto3.client(
        "s3",
        endpoint_url=settings.url("S3"),
        aws_access_key_id=settings["S3_ACCESS_KEY"],
        aws_secret_access_key=settings["S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    server = Server(
        settings["POSTGRES_HOST"],
        settings.port("POSTGRES"),
        settings["POSTGRES_DB"],
        settings["POSTGRES_ADMIN_PASSWORD"],
        settings.values,
    )
    return Stores(server, client, storage, settings["S3_BUCKET"], settings["PII_KEY"])


@contextmanager
def running_stores(settings: Settings) -> Iterator[None]:
    """Run Postgres, ClickHouse and S3 without the services that write to them; stop them at the end.

    Raises:
        BackupError: the stack is running.
        StackError: one of them did not start.
    """
    supervisor = Supervisor(settings)
    if supervisor.process() is not None:
        raise BackupError("The stack is running: ./stop.sh first. Nothing was changed.")
    prepare_home(settings.home)
    supervisor.start()
    try:
        preparation.create_postgres_cluster(settings)
        for name in ("postgres", "clickhouse", "s3"):
            start(name, settings, supervisor)
        yield
    finally:
        supervisor.stop()


def local_state_file(settings: Settings) -> Path | None:
    """Return the file with the state of the state folder; None if there is none."""
    path = state_file(settings)
    return path if path.exists() else None


def restore_state(settings: Settings, folder: Path) -> None:
    """Give the state folder a backup's state, so that ./run.sh loads no other data over the restored ones.

    Args:
        settings: of the stack, which does not run.
        folder: the backup; an older one has no state.

    Raises:
        StackError: the backup's state is damaged.
    """
    path = folder / STATE_FILE
    state = (
        State.read_file(path) if path.exists() else State(f"the backup {folder.name}", "before the backup")
    )
    state.runtime = None
    state.write(settings)
