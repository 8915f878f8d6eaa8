"""Runs in the environment of the ELT: the yardsticks of a load.

Use: elt_limits.py query TABLE           prints the COPY of a whole load and its columns
     elt_limits.py insert TABLE FILE     inserts these bytes, already in memory, into an empty twin
     elt_limits.py rows TABLE NUMBER     fetchall() of so many rows, then an insert of the list
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

from dataflix_elt.clickhouse import session
from dataflix_elt.settings import SourceSettings, WarehouseSettings
from dataflix_elt.source import snapshot
from dataflix_elt.tables import CHANGED_IN, Table, table_named
from dataflix_elt.transfer import CHUNK_BYTES

SOURCE = SourceSettings.from_environ(os.environ)
WAREHOUSE = WarehouseSettings.from_environ(os.environ)


def whole(name: str) -> Table:
    """Return the table with the columns that a load carries."""
    table = table_named(name)
    with snapshot(SOURCE) as source:
        shape = source.shape(table)
    return table.plus(*shape.more, *([CHANGED_IN] if shape.tells_changes else []))


def query(table: Table) -> dict[str, Any]:
    """Return what COPY is asked for."""
    columns = ", ".join(column.transport for column in table.columns)
    asked = f"COPY (SELECT {columns} FROM {table.source}) TO STDOUT (FORMAT csv, NULL '\\N')"
    return {"copy": asked, "columns": table.column_names}


def insert(table: Table, file: Path) -> dict[str, Any]:
    """Insert bytes that are in memory."""
    data = memoryview(file.read_bytes())

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), CHUNK_BYTES):
            yield bytes(data[start : start + CHUNK_BYTES])

    with session(WAREHOUSE) as target:
        twin = f"{table.name}__benchmark"
        target.command(f"DROP TABLE IF EXISTS {target.path(twin)} SYNC")
        target.command(f"CREATE TABLE {target.path(twin)} AS {target.path(table.name)}")
        begun = time.perf_counter()
        target.insert(twin, table.column_names, chunks())
        seconds = time.perf_counter() - begun
        target.command(f"DROP TABLE {target.path(twin)} SYNC")
    return {"seconds": seconds}


def rows(table: Table, number: int) -> dict[str, Any]:
    """Carry rows as Python objects, the way that comes to mind first."""
    names = ", ".join(column.name for column in table_named(table.name).columns)
    client = clickhouse_connect.get_client(
        host=WAREHOUSE.host, port=WAREHOUSE.port, username=WAREHOUSE.user, password=WAREHOUSE.password
    )
    twin = f"{WAREHOUSE.database}.{table.name}__benchmark"
    client.command(f"DROP TABLE IF EXISTS {twin} SYNC")
    client.command(f"CREATE TABLE {twin} AS {WAREHOUSE.database}.{table.name}")
    connection = psycopg2.connect(
        host=SOURCE.host, port=SOURCE.port, dbname=SOURCE.dbname, user=SOURCE.user, password=SOURCE.password
    )
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM {table.source} LIMIT {number}")
        fetched = cursor.fetchall()
    client.insert(twin, fetched, column_names=names.split(", "))
    seconds = time.perf_counter() - begun
    client.command(f"DROP TABLE {twin} SYNC")
    connection.close()
    return {"seconds": seconds, "rows": len(fetched)}


def main(words: list[str]) -> None:
    """Do what the words say."""
    table = whole(words[1])
    match words[0]:
        case "query":
            told = query(table)
        case "insert":
            told = insert(table, Path(words[2]))
        case "rows":
            told = rows(table, int(words[2]))
        case other:
            raise SystemExit(f"no such yardstick: {other}")
    sys.stdout.write(json.dumps(told) + "\n")


main(sys.argv[1:])
