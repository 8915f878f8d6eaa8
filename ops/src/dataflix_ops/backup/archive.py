"""Creates and restores backups: a folder that holds every store of the stack."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from dataflix_ops.backup import manifest, object_store, postgres, warehouse
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import Manifest
from dataflix_ops.backup.retention import PARTIAL_SUFFIX

Say = Callable[[str], None]
ENV_FILE = "env"
# What the stack knows of its data: without it, ./run.sh would load the sample over what was restored.
STATE_FILE = "state.json"


@dataclass(frozen=True)
class Stores:
    """All stores that a backup covers.

    Attributes:
        client: of ClickHouse, as its administrator.
        s3: a boto3 client.
        pii_key: the key of the pseudonyms, from `.env`.
    """

    server: postgres.Server
    client: Client
    s3: Any = field(repr=False)
    bucket: str
    pii_key: str = field(repr=False)


def create_backup(
    stores: Stores, folder: Path, say: Say, *, env_file: Path | None = None, state_file: Path | None = None
) -> Manifest:
    """Write a backup into a new folder, which appears when the backup is complete.

    Args:
        stores: what to back up.
        folder: the new folder.
        say: called with a line for each finished part.
        env_file: `.env`, to include it and the key of the pseudonyms; None leaves the secrets out.
        state_file: the state of the state folder; None leaves it out.

    Raises:
        BackupError: the folder exists already, or a service failed.
    """
    if folder.exists():
        raise BackupError(f"{folder} exists already; a backup never replaces another.")
    partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    created_at = manifest.now()
    try:
        # The registry before its artifacts: an artifact that it names is in the bucket by then.
        postgres.dump(stores.server, partial, with_key=env_file is not None)
        say(f"{len(stores.server.databases)} databases of Postgres")
        say(f"{object_store.dump(stores.s3, stores.bucket, partial)} objects of S3")
        say(f"{warehouse.dump(stores.client, partial)} tables and views of ClickHouse")
        for file, name in ((env_file, ENV_FILE), (state_file, STATE_FILE)):
            if file is not None:
                with manifest.new_file(partial / name) as out:
                    out.write(file.read_bytes())
        written = manifest.write(
            partial, created_at, pii_key=stores.pii_key, has_secrets=env_file is not None
        )
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return written


def restore_backup(
    stores: Stores, folder: Path, say: Say, *, when_checked: Callable[[], None] = lambda: None
) -> Manifest:
    """Replace everything in the stores by a backup.

    Args:
        stores: what to replace.
        folder: the backup.
        say: called with a line for each finished part.
        when_checked: called when nothing speaks against the backup, before anything is replaced.

    Raises:
        BackupError: the backup is damaged or needs another key (nothing was changed), or a service failed.
        StackError: a file of `postgres/init` failed.
    """
    read = manifest.read(folder)
    if read.key_mark != manifest.key_mark(stores.pii_key):
        raise BackupError(
            "The pseudonyms in this backup were made with another DATAFLIX_PII_KEY than the one in .env. Put "
            "that key into .env and try again. Nothing was restored."
        )
    when_checked()
    postgres.restore(stores.server, folder)
    say("Postgres is restored")
    object_store.restore(stores.s3, stores.bucket, folder)
    say("S3 is restored")
    warehouse.restore(stores.client, folder)
    say("ClickHouse is restored")
    return read
