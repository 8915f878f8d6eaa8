"""The S3 store where the trainer uses it directly: exported files, and their removal."""

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

# Objects of the bucket under this prefix expire by age; MLflow keeps the models elsewhere in it.
EXPORTS = "exports/"
# A store that is down must be reported within seconds.
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
def translate_errors(settings: S3Settings, target: str) -> Iterator[None]:
    """Turn errors of the S3 client into the trainer's own, with what to check.

    Raises:
        ServiceUnavailableError: S3 does not answer.
        ExportError: S3 refuses ``target``.
    """
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
            "(DATAFLIX_S3_BUCKET names Dataflix's own) and DATAFLIX_S3_ACCESS_KEY and _SECRET_KEY"
        ) from error


class Exports:
    """The exported files in Dataflix's own bucket.

    Every method raises ServiceUnavailableError when S3 does not answer, and ExportError when it refuses.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._client = connect(settings)

    def older_than(self, before: datetime) -> list[str]:
        """Return the keys of the exports that were last written before a moment."""
        bucket = self._settings.bucket
        with translate_errors(self._settings, f"s3://{bucket}/{EXPORTS}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=EXPORTS)
            entries = [entry for page in pages for entry in page.get("Contents", [])]
        return [entry["Key"] for entry in entries if entry["LastModified"] < before]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove the exports with these keys."""
        for key in keys:
            with translate_errors(self._settings, f"s3://{self._settings.bucket}/{key}"):
                self._client.delete_object(Bucket=self._settings.bucket, Key=key)
