"""Real services for tests. Each starts in seconds, in a temporary folder, on a free port of 127.0.0.1."""

from dataflix_testkit.clickhouse import ClickHouseServer, clickhouse
from dataflix_testkit.disk import fill_disk, small_disk
from dataflix_testkit.mlflow import MlflowServer, mlflow
from dataflix_testkit.postgres import PostgresServer, postgres
from dataflix_testkit.process import free_port
from dataflix_testkit.s3 import S3Server, s3

__all__ = [
    "ClickHouseServer",
    "MlflowServer",
    "PostgresServer",
    "S3Server",
    "clickhouse",
    "fill_disk",
    "free_port",
    "mlflow",
    "postgres",
    "s3",
    "small_disk",
]
