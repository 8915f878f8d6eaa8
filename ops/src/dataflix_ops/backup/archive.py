"""Takes a backup, and puts one back."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from dataflix_ops.backup import manifest, object_store, postgres, warehouse
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import Manifest
from dataflix_ops.backup.retention import PARTIAL

Say = Callable[[str], None]
ENV = "env"


@dataclass(frozen=True)
class Places:
    """Everything a backup is of.

    Attributes:
        s3: a boto3 client.
        pii_key: of the pseudonyms, from `.env`.
    """

    server: postgres.Server
    client: Client
    s3: Any = field(repr=False)
    bucket: str
    pii_key: str = field(repr=False)


def take(places: Places, folder: Path, say: Say, *, env_file: Path | None = None) -> Manifest:
    """Write a backup into a new folder, which appears when it is whole.

    Args:
        env_file: `.env`, to be put into it with the key; None leaves secrets out.

    Raises:
        BackupError: there is such a folder already, or a service failed.
    """
    if folder.exists():
        raise BackupError(f"{folder} exists already; a backup is never written over another.")
    beside = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True, mode=0o700)
    created_at = manifest.now()
    try:
        # The registry before its artifacts: what it names is in the bucket by then.
        postgres.dump(places.server, beside, with_key=env_file is not None)
        say(f"{len(places.server.databases)} databases of Postgres")
        say(f"{object_store.dump(places.s3, places.bucket, beside)} objects of S3")
        say(f"{warehouse.dump(places.client, beside)} tables and views of ClickHouse")
        if env_file is not None:
            with manifest.writing(beside / ENV) as out:
                out.write(env_file.read_bytes())
        written = manifest.write(beside, created_at, pii_key=places.pii_key, has_secrets=env_file is not None)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return written


def put_back(places: Places, folder: Path, say: Say) -> Manifest:
    """Put a backup in the place of everything that is there.

    Raises:
        BackupError: the backup is damaged or needs another key (nothing was changed), or a service failed.
        StackError: a file of `postgres/init` failed.
    """
    read = manifest.read(folder)
    if read.key_mark != manifest.key_mark(places.pii_key):
        raise BackupError(
            "The pseudonyms in this backup were made with another DATAFLIX_PII_KEY than the one in .env. Put "
            "that key into .env and try again. Nothing was restored."
        )
    postgres.restore(places.server, folder)
    say("Postgres is restored")
    object_store.restore(places.s3, places.bucket, folder)
    say("S3 is restored")
    warehouse.restore(places.client, folder)
    say("ClickHouse is restored")
    return read
