"""Exports the published lists to a CSV or Parquet file, on this machine or in S3."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dataflix_common.files import replacing
from dataflix_trainer.data import object_store
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError, ExportError
from dataflix_trainer.promotion.recommendation_lists import TABLE
from dataflix_trainer.settings import S3Settings

QUERY = f"""
    SELECT user_id, rank, movie_id, score, model_version, generated_at
    FROM {TABLE}
    ORDER BY user_id, rank
"""  # noqa: S608 - the name is ours
WRITERS: dict[str, Callable[[Any, pa.Schema], Any]] = {
    "csv": pyarrow.csv.CSVWriter,
    "parquet": pyarrow.parquet.ParquetWriter,
}


def export_recommendations(
    warehouse: Warehouse, file_format: str, target: str, s3: Callable[[], S3Settings]
) -> int:
    """Write all published lists to a file.

    Rows are streamed. The file appears when it is complete.

    Args:
        warehouse: holds the lists.
        file_format: a key of WRITERS.
        target: a path, or ``s3://bucket/key``.
        s3: returns the settings of the store; called for a target in S3 alone.

    Returns:
        The number of rows.

    Raises:
        DataError: no lists were published.
        ExportError: the target cannot be written.
        ServiceUnavailableError: the warehouse or S3 does not answer.
        SettingsError: raised by ``s3``.
    """
    if "://" not in target:
        return _to_file(warehouse, file_format, Path(target).absolute())
    bucket, key = _parse_s3(target)
    settings = s3()
    with TemporaryDirectory(prefix="dataflix-export-") as folder:
        file = Path(folder) / "recommendations"
        rows = _to_file(warehouse, file_format, file)
        with object_store.translate_errors(settings, f"s3://{bucket}/{key}"):
            object_store.connect(settings).upload_file(str(file), bucket, key)
    return rows


def _to_file(warehouse: Warehouse, file_format: str, path: Path) -> int:
    rows = 0
    writer = None
    try:
        with replacing(path, mode=None) as stream:
            try:
                for batch in warehouse.batches(QUERY):
                    writer = writer or WRITERS[file_format](stream, batch.schema)
                    writer.write_batch(batch)
                    rows += batch.num_rows
            finally:
                if writer is not None:
                    writer.close()
            if rows == 0:
                raise DataError(f"{TABLE} is empty: no lists were published yet; see: trainer models")
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    return rows


def _parse_s3(target: str) -> tuple[str, str]:
    parts = urlsplit(target)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise ExportError(f"{target!r} is neither a path nor s3://bucket/key")
    return parts.netloc, key
