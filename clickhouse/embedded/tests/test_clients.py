"""The clients that Dataflix uses: clickhouse-connect, its SQLAlchemy dialect (for Superset), and dbt."""

import datetime as dt
import gzip
import json
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    OperationalError,
    StreamFailureError,
)

from dataflix_testkit import ClickHouseServer

ROOT = Path(__file__).resolve().parents[3]
DBT = ROOT / "airflow" / ".venv" / "bin" / "dbt"


@pytest.fixture(scope="module")
def client(server: ClickHouseServer) -> Any:
    return server.client("dataflix_admin")


@pytest.fixture
def events(client: Any) -> Iterator[str]:
    """An empty table with the types that the warehouse uses."""
    name = "analytics.client_events"
    client.command(
        f"CREATE OR REPLACE TABLE {name} (id Int64, title String, genres Array(String), "
        "year Nullable(Int16), rating Float32, liked Nullable(Bool), run LowCardinality(String), "
        "seen_at DateTime64(6, 'UTC')) "
        "ENGINE = MergeTree ORDER BY id"
    )
    yield name
    client.command(f"DROP TABLE {name}")


def timestamp(microsecond: int = 0) -> dt.datetime:
    return dt.datetime(2024, 2, 29, 23, 59, 59, microsecond, tzinfo=dt.UTC)


ROWS = [
    [1, "Amélie", ["Comedy", "Romance"], 2001, 4.5, True, "a", timestamp(123456)],
    [2, "tab\tand 'quote'\n", [], None, 0.5, None, "a", timestamp()],
    [3, "", ["x" * 300], -1, math.inf, False, "", timestamp(1)],
]


def test_rows_come_back_as_they_went_in(client: Any, server: ClickHouseServer, events: str) -> None:
    summary = client.insert(events, ROWS, column_names="*")
    assert summary.written_rows == len(ROWS)
    result = server.client("dataflix_admin", tz_mode="aware").query(f"SELECT * FROM {events} ORDER BY id")
    assert [list(row) for row in result.result_rows] == ROWS
    assert int(result.summary["read_rows"]) == len(ROWS)


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_compressed_inserts_and_answers(server: ClickHouseServer, events: str, compress: str | bool) -> None:
    client = server.client("dataflix_admin", compress=compress)
    rows = [[n, f"title {n}", ["g"], n % 100, 1.0, None, "r", timestamp()] for n in range(50_000)]
    client.insert(events, rows, column_names="*")
    assert client.query(f"SELECT count(), sum(id) FROM {events}").result_rows == [(50_000, 1_249_975_000)]
    assert len(client.query(f"SELECT * FROM {events}").result_rows) == 50_000


def test_data_frames(client: Any, events: str) -> None:
    frame = pd.DataFrame(
        {"id": [1, 2], "title": ["a", "b"], "rating": [1.5, 2.5], "seen_at": [timestamp(), timestamp()]}
    )
    client.insert_df(events, frame)
    found = client.query_df(f"SELECT id, title, rating FROM {events} ORDER BY id")
    assert found.to_dict("list") == {"id": [1, 2], "title": ["a", "b"], "rating": [1.5, 2.5]}


def test_arrow(client: Any, events: str) -> None:
    count = 300_000
    table = pa.table({"id": pa.array(range(count), pa.int64()), "title": pa.array(["x"] * count)})
    client.insert_arrow(events, table)
    found = client.query_arrow(f"SELECT id, title FROM {events} ORDER BY id", use_strings=True)
    assert found.num_rows == count
    assert found.column("id").equals(pa.chunked_array([table.column("id").combine_chunks()]))
    assert client.query_arrow(f"SELECT id FROM {events} WHERE id < 0").schema.names == ["id"]


def test_streams(client: Any) -> None:
    with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(500000)") as blocks:
        assert sum(len(block) for block in blocks) == 500_000
    with client.query_arrow_stream("SELECT number FROM numbers(500000)") as batches:
        assert sum(batch.num_rows for batch in batches) == 500_000


def test_an_error_inside_a_stream_reaches_the_client(server: ClickHouseServer) -> None:
    asked = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_block_size = 10000"
    with pytest.raises(StreamFailureError, match="Value passed to 'throwIf'"):
        consume(server.client("dataflix_admin", compress=False), asked)
    with pytest.raises((OperationalError, StreamFailureError)):
        consume(server.client("dataflix_admin", compress="lz4"), asked)


def consume(client: Any, sql: str) -> None:
    with client.query_row_block_stream(sql) as blocks:
        for _ in blocks:
            pass


def test_raw_inserts_with_each_kind_of_body(client: Any, events: str) -> None:
    line = b"%d,title,\"['a']\",2000,1.5,true,run,2024-01-01 00:00:00\n"
    client.raw_insert(events, fmt="CSV", insert_block=line % 1)
    client.raw_insert(events, fmt="CSV", insert_block=(line % n for n in range(2, 5)))
    client.raw_insert(events, fmt="CSV", insert_block=gzip.compress(line % 5), compression="gzip")
    assert client.command(f"SELECT sum(id) FROM {events}") == 15


def test_server_and_client_parameters(client: Any) -> None:
    bound = client.query(
        "SELECT {s:String}, {n:Int32}, {d:DateTime}", parameters={"s": "ä'\t\\", "n": -5, "d": timestamp()}
    )
    assert bound.result_rows[0][:2] == ("ä'\t\\", -5)
    long = list(range(20_000))
    assert client.query("SELECT length({l:Array(Int64)})", parameters={"l": long}).result_rows == [(20_000,)]
    assert client.query("SELECT %(s)s", parameters={"s": "it's"}).result_rows == [("it's",)]


def test_empty_results_have_columns(client: Any, events: str) -> None:
    for sql in (f"SELECT id, genres FROM {events}", f"SELECT id, genres FROM {events} LIMIT 0"):
        result = client.query(sql)
        assert result.column_names == ("id", "genres")
        assert [kind.name for kind in result.column_types] == ["Int64", "Array(String)"]
        assert result.result_rows == []


def test_commands_and_settings(client: Any) -> None:
    assert client.command("SELECT 1 + 1") == 2
    assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == 1
    assert client.ping()
    assert client.server_version.startswith("26.")


def test_errors_carry_their_code(client: Any, server: ClickHouseServer) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.query("SELECT nothing")
    assert raised.value.code == 47
    with pytest.raises(DatabaseError) as raised:
        server.client("reader").command("INSERT INTO analytics.recommendations (user_id) VALUES (1)")
    assert raised.value.code in (164, 497)


def test_a_failed_serialisation_inserts_nothing(client: Any, events: str) -> None:
    rows = [
        [1, "fine", [], 1, 1.0, None, "r", timestamp()],
        ["not a number", "x", [], 1, 1.0, None, "r", timestamp()],
    ]
    with pytest.raises(DataError, match="`id`"):
        client.insert(events, rows, column_names="*")
    assert client.command(f"SELECT count() FROM {events}") == 0


def test_sqlalchemy_as_superset_uses_it(server: ClickHouseServer) -> None:
    password = server.environ["DATAFLIX_CLICKHOUSE_READER_PASSWORD"]
    engine = sqlalchemy.create_engine(
        f"clickhousedb://reader:{password}@{server.host}:{server.port}/analytics"
    )
    inspector = sqlalchemy.inspect(engine)
    assert "recommendations" in inspector.get_table_names()
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("recommendations")}
    assert columns["rank"] == "UInt16"
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count() FROM recommendations")).scalar() == 0
        with pytest.raises(sqlalchemy.exc.DatabaseError):
            connection.execute(sqlalchemy.text("SELECT count() FROM raw.users"))


MODELS = {
    "base.sql": "{{ config(materialized='table') }} select id, name from {{ ref('people') }}",
    "seen.sql": "{{ config(materialized='view') }} select id, upper(name) as name from {{ ref('base') }}",
    "grown.sql": (
        "{{ config(materialized='incremental', incremental_strategy='append') }} "
        "select id from {{ ref('base') }}"
    ),
    "all.yml": json.dumps(
        {
            "models": [{"name": "base", "columns": [{"name": "id", "data_tests": ["unique", "not_null"]}]}],
            "unit_tests": [
                {
                    "name": "names_are_in_capitals",
                    "model": "seen",
                    "given": [{"input": "ref('base')", "rows": [{"id": 1, "name": "a"}]}],
                    "expect": {"rows": [{"id": 1, "name": "A"}]},
                }
            ],
        }
    ),
}


@pytest.mark.skipif(not DBT.exists(), reason="the environment of Airflow and dbt has not been made")
def test_dbt_builds_a_project_twice(server: ClickHouseServer, tmp_path: Path) -> None:
    output = {
        "type": "clickhouse",
        "schema": "analytics",
        "host": server.host,
        "port": server.port,
        "user": "dbt",
        "password": server.environ["DATAFLIX_CLICKHOUSE_DBT_PASSWORD"],
        "threads": 4,
    }
    project = {"name": "tiny", "profile": "tiny", "flags": {"send_anonymous_usage_stats": False}}
    (tmp_path / "dbt_project.yml").write_text(json.dumps(project))
    (tmp_path / "profiles.yml").write_text(json.dumps({"tiny": {"target": "x", "outputs": {"x": output}}}))
    for folder, files in {"models": MODELS, "seeds": {"people.csv": "id,name\n1,a\n2,b\n"}}.items():
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    command = [str(DBT), "build", "--project-dir", str(tmp_path), "--profiles-dir", str(tmp_path)]
    environ = {
        **os.environ,
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        assert done.returncode == 0, done.stdout
    reader = server.client("reader")
    assert reader.query("SELECT name FROM analytics.seen ORDER BY id").result_rows == [("A",), ("B",)]
    assert reader.command("SELECT count() FROM analytics.grown") == 4
