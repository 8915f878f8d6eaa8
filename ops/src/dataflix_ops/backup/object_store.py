"""Backup of the bucket of model artifacts, object by object."""

from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import new_file

FOLDER = "objects"
_FAILURES = (BotoCoreError, ClientError, S3UploadFailedError)


def dump(client: Any, bucket: str, folder: Path) -> int:
    """Write every object of a bucket into a backup; returns their number.

    Raises:
        BackupError: S3 failed, or the name of an object points outside of the folder.
    """
    target = folder / FOLDER
    try:
        keys = _keys(client, bucket)
        for key in keys:
            path = target / key
            if not path.resolve().is_relative_to(target.resolve()):
                raise BackupError(
                    f"The object {key!r} can't be written to a file: its name points outside of {target}."
                )
            with new_file(path) as out:
                client.download_fileobj(bucket, key, out)
    except _FAILURES as error:
        raise BackupError(f"S3 failed: {error}") from None
    return len(keys)


def restore(client: Any, bucket: str, folder: Path) -> None:
    """Make a bucket hold exactly the objects of a backup.

    Raises:
        BackupError: S3 failed; the bucket is incomplete, and the restore must run again.
    """
    source = folder / FOLDER
    files = {str(path.relative_to(source)): path for path in source.rglob("*") if path.is_file()}
    try:
        if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
        for key in set(_keys(client, bucket)) - files.keys():
            client.delete_object(Bucket=bucket, Key=key)
        for key, path in files.items():
            client.upload_file(str(path), bucket, key)
    except _FAILURES as error:
        raise BackupError(f"S3 failed: {error}") from None


def _keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [
        entry["Key"] for page in pages for entry in page.get("Contents", []) if not entry["Key"].endswith("/")
    ]
