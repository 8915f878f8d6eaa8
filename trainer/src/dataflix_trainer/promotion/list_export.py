"""Exports the published lists to a CSV or Parquet file, here or in S3."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError, ExportError
from dataflix_trainer.promotion.recommendation_lists import TABLE
from dataflix_trainer.settings import ClickHouseSettings, S3Settings, environment

QUERY = f"""
    SELECT user_id, rank, movie_id, score, model_version, generated_at
    FROM {TABLE}
    ORDER BY user_id, rank
"""  # noqa: S608 - the name is ours
WRITERS: dict[str, Callable[[str, pa.Schema], Any]] = {
    "csv": pyarrow.csv.CSVWriter,
    "parquet": pyarrow.parquet.ParquetWriter,
}


def export_from_environment(file_format: str, target: str) -> int:
    """Export with the warehouse and store that the settings name; see ``export_recommendations``."""
    environ = environment()
    with Warehouse.connect(ClickHouseSettings.from_environ(environ)) as warehouse:
        return export_recommendations(
            warehouse, file_format, target, lambda: S3Settings.from_environ(environ)
        )


def export_recommendations(
    warehouse: Warehouse, file_format: str, target: str, s3: Callable[[], S3Settings]
) -> int:
    """Write all lists to ``target``, a path or ``s3://bucket/key``; return the number of rows.

    Rows are streamed; the file appears only once it is whole. Raises DataError when nothing was published,
    ExportError when the target cannot be written, ServiceUnavailableError, SettingsError from ``s3``.
    """
    if "://" not in target:
        return _to_file(warehouse, file_format, Path(target).absolute())
    bucket, key = _parse_s3(target)
    settings = s3()
    with TemporaryDirectory(prefix="dataflix-export-") as folder:
        file = Path(folder) / "recommendations"
        rows = _to_file(warehouse, file_format, file)
        _upload(file, settings, bucket, key)
    return rows


def _to_file(warehouse: Warehouse, file_format: str, path: Path) -> int:
    rows = 0
    writer = None
    with _beside(path) as file:
        try:
            for batch in warehouse.batches(QUERY):
                writer = writer or WRITERS[file_format](str(file), batch.schema)
                writer.write_batch(batch)
                rows += batch.num_rows
        finally:
            if writer is not None:
                writer.close()
        if rows == 0:
            raise DataError(f"{TABLE} is empty: nothing was published yet; see: trainer models")
    return rows


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a file in the target's folder that takes the target's place if all goes well."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as made:
            file = Path(made.name)
    except OSError as error:
        raise ExportError(f"cannot write into {path.parent}: {error.strerror}") from error
    try:
        yield file
        file.chmod(0o644 & ~_umask())
        file.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        file.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's umask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _parse_s3(target: str) -> tuple[str, str]:
    parts = urlsplit(target)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise ExportError(f"{target!r} is neither a path nor s3://bucket/key")
    return parts.netloc, key


def _upload(file: Path, settings: S3Settings, bucket: str, key: str) -> None:
    from dataflix_trainer.data import object_store  # noqa: PLC0415 - slow to import, and seldom needed

    with object_store.explained(settings, f"s3://{bucket}/{key}"):
        object_store.connect(settings).upload_file(str(file), bucket, key)
