"""The baselines of a load. Runs in the environment of the ELT.

Use: elt_baselines.py query TABLE           prints the COPY of a full load and its columns
     elt_baselines.py insert TABLE FILE     inserts FILE from memory into an empty copy of the table
     elt_baselines.py rows TABLE NUMBER     fetchall() of NUMBER rows, then an insert of the list
Prints one JSON line.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import psycopg2

from dataflix_elt.clients.clickhouse import session
from dataflix_elt.loading.stream import CHUNK_BYTES
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.source.snapshot import snapshot
from dataflix_elt.tables import LAST_XID, Table, table_named

SOURCE = SourceSettings.from_environ(os.environ)
WAREHOUSE = WarehouseSettings.from_environ(os.environ)


def full_table(name: str) -> Table:
    """Return the table with the columns that a load sends."""
    table = table_named(name)
    with snapshot(SOURCE) as source:
        view = source.view_columns(table)
    return table.with_columns(*view.extra, *([LAST_XID] if view.has_last_xid else []))


def query(table: Table) -> dict[str, Any]:
    """Return the COPY statement of a full load."""
    columns = ", ".join(column.transport for column in table.columns)
    statement = f"COPY (SELECT {columns} FROM {table.source}) TO STDOUT (FORMAT csv, NULL '\\N')"
    return {"copy": statement, "columns": table.column_names}


def insert(table: Table, file: Path) -> dict[str, Any]:
    """Insert the bytes of ``file`` from memory."""
    data = memoryview(file.read_bytes())

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), CHUNK_BYTES):
            yield bytes(data[start : start + CHUNK_BYTES])

    with session(WAREHOUSE) as target:
        copy = f"{table.name}__benchmark"
        target.command(f"DROP TABLE IF EXISTS {target.path(copy)} SYNC")
        target.command(f"CREATE TABLE {target.path(copy)} AS {target.path(table.name)}")
        begun = time.perf_counter()
        target.insert(copy, table.column_names, chunks())
        seconds = time.perf_counter() - begun
        target.command(f"DROP TABLE {target.path(copy)} SYNC")
    return {"seconds": seconds}


def rows(table: Table, number: int) -> dict[str, Any]:
    """Load rows as Python objects, which is the simplest way to write a load."""
    names = ", ".join(column.name for column in table_named(table.name).columns)
    client = clickhouse_connect.get_client(
        host=WAREHOUSE.host, port=WAREHOUSE.port, username=WAREHOUSE.user, password=WAREHOUSE.password
    )
    copy = f"{WAREHOUSE.database}.{table.name}__benchmark"
    client.command(f"DROP TABLE IF EXISTS {copy} SYNC")
    client.command(f"CREATE TABLE {copy} AS {WAREHOUSE.database}.{table.name}")
    connection = psycopg2.connect(
        host=SOURCE.host, port=SOURCE.port, dbname=SOURCE.dbname, user=SOURCE.user, password=SOURCE.password
    )
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM {table.source} LIMIT {number}")
        fetched = cursor.fetchall()
    client.insert(copy, fetched, column_names=names.split(", "))
    seconds = time.perf_counter() - begun
    client.command(f"DROP TABLE {copy} SYNC")
    connection.close()
    return {"seconds": seconds, "rows": len(fetched)}


def main(arguments: list[str]) -> None:
    """Run the baseline that the arguments name."""
    table = full_table(arguments[1])
    match arguments[0]:
        case "query":
            result = query(table)
        case "insert":
            result = insert(table, Path(arguments[2]))
        case "rows":
            result = rows(table, int(arguments[2]))
        case other:
            raise SystemExit(f"there is no baseline {other}")
    sys.stdout.write(json.dumps(result) + "\n")


main(sys.argv[1:])
