"""Checks of Postgres and ClickHouse: every role signs in and reads only what it may read."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import clickhouse_connect
import psycopg2
from psycopg2.errors import InsufficientPrivilege

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_stack.config.settings import Settings

_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 30

# Role, database (None: the application's), and the setting that holds its password.
_ROLES = (
    ("postgres", None, "POSTGRES_ADMIN_PASSWORD"),
    ("dataflix_backend", None, "POSTGRES_BACKEND_PASSWORD"),
    ("elt_reader", None, "POSTGRES_ELT_PASSWORD"),
    ("dataflix_copier", None, "POSTGRES_COPIER_PASSWORD"),
    ("airflow", "airflow", "POSTGRES_AIRFLOW_PASSWORD"),
    ("mlflow", "mlflow", "POSTGRES_MLFLOW_PASSWORD"),
    ("superset", "superset", "POSTGRES_SUPERSET_PASSWORD"),
)
_BASE_TABLES = (
    *("users", "movies", "watched_movies", "ratings"),
    *("ranking_rules", "user_blocks", "feedback"),
)

# User, password, and a query that the user needs for its work.
_USERS = (
    ("dataflix_admin", "CLICKHOUSE_ADMIN_PASSWORD", "SELECT count() FROM system.tables"),
    ("elt_writer", "CLICKHOUSE_ELT_PASSWORD", "SELECT count() FROM raw.ratings"),
    ("dbt", "CLICKHOUSE_DBT_PASSWORD", "SELECT count() FROM raw.users"),
    ("trainer", "CLICKHOUSE_TRAINER_PASSWORD", "SELECT count() FROM analytics.user_item_matrix"),
    ("reader", "CLICKHOUSE_READER_PASSWORD", "SELECT count() FROM analytics.ratings_aggregated"),
)


def checks() -> list[Check]:
    """Return a check for each role and user, and one for the tables that the pipeline may not read."""
    roles = [Check("postgres", f"{role[0]} signs in", _signs_in(*role)) for role in _ROLES]
    users = [Check("clickhouse", f"{user[0]} signs in and reads", _reads(*user)) for user in _USERS]
    refused = Check("postgres", "elt_reader is refused on the base tables", _refused)
    return [*roles, refused, *users]


def _signs_in(role: str, database: str | None, password: str) -> Callable[[Settings], str]:
    def run(settings: Settings) -> str:
        with (
            closing(_connect(settings, role, database, password)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT current_user, current_database()")
            return " in ".join(cursor.fetchone() or ())

    return run


def _refused(settings: Settings) -> str:
    """Query each base table in its own transaction."""
    with closing(_connect(settings, "elt_reader", None, "POSTGRES_ELT_PASSWORD")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table in _BASE_TABLES:
                try:
                    cursor.execute(f"SELECT 1 FROM public.{table} LIMIT 1")
                except InsufficientPrivilege:
                    continue
                raise CheckError(
                    f"elt_reader can read public.{table}: personal data could leave the database"
                )
            cursor.execute("SELECT count(*) FROM masked.users")
            (count,) = cursor.fetchone() or (0,)
    return f"refused on {len(_BASE_TABLES)} tables; {count} users in the masked view"


def _connect(settings: Settings, role: str, database: str | None, password: str) -> Any:
    return psycopg2.connect(
        host=settings["POSTGRES_HOST"],
        port=settings["POSTGRES_PORT"],
        user=role,
        password=settings[password],
        dbname=database or settings["POSTGRES_DB"],
        connect_timeout=_CONNECT_TIMEOUT_S,
    )


def _reads(user: str, password: str, query: str) -> Callable[[Settings], str]:
    def run(settings: Settings) -> str:
        client = clickhouse_connect.get_client(
            host=settings["CLICKHOUSE_HOST"],
            port=settings.port("CLICKHOUSE"),
            username=user,
            password=settings[password],
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=_READ_TIMEOUT_S,
            autogenerate_session_id=False,
        )
        with closing(client):
            return f"{client.command(query)} from {query.rpartition(' ')[2]}"

    return run
