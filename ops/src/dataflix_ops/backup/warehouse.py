"""Backup of ClickHouse's databases `raw` and `analytics`: statement and compressed rows of each table."""

import gzip
from collections.abc import Generator
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.manifest import new_file

DATABASES = ("raw", "analytics")
FOLDER = "warehouse"
_CHUNK_BYTES = 1 << 20
# Staging and retired tables of loads and swaps are left out.
_TEMPORARY = "position(name, '__') > 0 AND match(name, '__(staging|retired|dbt_)|__[0-9]{8}T|^erasing__')"


def dump(client: Client, folder: Path) -> int:
    """Write every table and view into a backup; returns their number. Replaced versions of rows are included.

    Raises:
        BackupError: ClickHouse failed.
    """
    try:
        tables = client.query(
            "SELECT database, name, endsWith(engine, 'View') FROM system.tables"
            f" WHERE database IN {DATABASES} AND NOT ({_TEMPORARY}) ORDER BY database, name"
        ).result_rows
        for database, name, is_view in tables:
            ((statement,),) = client.query(f"SHOW CREATE TABLE {database}.`{name}`").result_rows
            kind = "view" if is_view else "table"
            with new_file(folder / FOLDER / f"{database}.{name}.{kind}.sql") as out:
                out.write(statement.encode())
            if not is_view:
                with (
                    new_file(folder / FOLDER / f"{database}.{name}.native.gz") as out,
                    # Level 1 is the fastest, and already makes the files small.
                    gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as compressed,
                    client.raw_stream(f"SELECT * FROM {database}.`{name}`", fmt="Native") as rows,
                ):
                    while chunk := rows.read(_CHUNK_BYTES):
                        compressed.write(chunk)
    except ClickHouseError as error:
        raise BackupError(f"ClickHouse failed: {_first_line(error)}") from None
    return len(tables)


def restore(client: Client, folder: Path) -> None:
    """Replace all tables and views by those of a backup.

    Raises:
        BackupError: ClickHouse failed; the warehouse is incomplete, and the restore must run again.
    """
    files = sorted((folder / FOLDER).glob("*.sql"))
    try:
        for database in DATABASES:
            present = client.query(
                f"SELECT name FROM system.tables WHERE database = '{database}'"
            ).result_rows
            for (name,) in present:
                client.command(f"DROP TABLE IF EXISTS {database}.`{name}` SYNC")
        for file in files:
            if file.name.endswith(".table.sql"):
                client.command(file.read_text(encoding="utf-8"))
                table = file.name.removesuffix(".table.sql")
                database, _, name = table.partition(".")
                client.raw_insert(
                    f"{database}.`{name}`",
                    insert_block=_decompressed(folder / FOLDER / f"{table}.native.gz"),
                    fmt="Native",
                    settings={"insert_deduplicate": 0, "async_insert": 0},
                )
        # A view may read another one that does not exist yet.
        _create_views(client, [file for file in files if file.name.endswith(".view.sql")])
    except ClickHouseError as error:
        raise BackupError(f"ClickHouse failed: {_first_line(error)}") from None


def _create_views(client: Client, waiting: list[Path]) -> None:
    while waiting:
        refused: list[Path] = []
        problem: ClickHouseError | None = None
        for file in waiting:
            try:
                client.command(file.read_text(encoding="utf-8"))
            except ClickHouseError as error:
                refused.append(file)
                problem = error
        if problem is not None and len(refused) == len(waiting):
            raise problem
        waiting = refused


def _decompressed(path: Path) -> Generator[bytes, None, None]:
    with gzip.open(path, "rb") as compressed:
        while chunk := compressed.read(_CHUNK_BYTES):
            yield chunk


def _first_line(error: ClickHouseError) -> str:
    return str(error).splitlines()[0]
