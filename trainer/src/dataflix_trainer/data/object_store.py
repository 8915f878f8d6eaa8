"""The S3 store as the trainer uses it by itself: exported files, and their removal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dataflix_trainer.errors import ExportError, ServiceUnavailableError
from dataflix_trainer.settings import S3Settings

# What lies in our bucket under this goes by age; MLflow keeps the models beside it.
EXPORTS = "exports/"
# A store that is away must be told of in seconds.
CONNECT_TIMEOUT_S = 5
ATTEMPTS = 2


def connect(settings: S3Settings) -> Any:
    """Return a client."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{settings.address}",
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name="us-east-1",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            retries={"max_attempts": ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path"},
        ),
    )


@contextmanager
def explained(settings: S3Settings, target: str) -> Iterator[None]:
    """Turn the client's errors into ours, with the way out."""
    try:
        yield
    except BotoCoreError as error:
        raise ServiceUnavailableError(
            "S3",
            settings.address,
            f"does not answer ({error})",
            check="that it runs, and DATAFLIX_S3_HOST and _PORT",
        ) from error
    except (S3UploadFailedError, ClientError) as error:
        raise ExportError(
            f"S3 at {settings.address} refused {target}: {error}. Check that the bucket exists "
            "(DATAFLIX_S3_BUCKET is ours) and DATAFLIX_S3_ACCESS_KEY and _SECRET_KEY"
        ) from error


class Exports:
    """The files of our bucket that exports have written."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._client = connect(settings)

    def older_than(self, before: datetime) -> list[str]:
        """Return the keys of those last written before a moment.

        Raises ServiceUnavailableError, ExportError.
        """
        bucket = self._settings.bucket
        with explained(self._settings, f"s3://{bucket}/{EXPORTS}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=EXPORTS)
            entries = [entry for page in pages for entry in page.get("Contents", [])]
        return [entry["Key"] for entry in entries if entry["LastModified"] < before]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove them; raises ServiceUnavailableError, ExportError."""
        for key in keys:
            with explained(self._settings, f"s3://{self._settings.bucket}/{key}"):
                self._client.delete_object(Bucket=self._settings.bucket, Key=key)
