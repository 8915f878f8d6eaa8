"""Short questions to a running service: does it do its work now?"""

from http import HTTPStatus

import psycopg2
import requests

from dataflix_stack.config.settings import Settings

# A healthy local service answers in milliseconds; one that takes longer than this is not healthy.
_TIMEOUT_S = 3.0


def http_ok(url: str) -> bool:
    """Say whether a GET answers 200."""
    return requests.get(url, timeout=_TIMEOUT_S).status_code == HTTPStatus.OK


def refuses_anonymous(url: str) -> bool:
    """Say whether a GET without credentials is refused: S3 is up and guarded."""
    # rclone says 400 to a request without a signature, MinIO 403.
    refusals = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
    return requests.get(url, timeout=_TIMEOUT_S).status_code in refusals


def airflow_part(settings: Settings, part: str) -> bool:
    """Say whether Airflow's health page calls one of its parts healthy."""
    answer = requests.get(settings.url("AIRFLOW") + "/api/v2/monitor/health", timeout=_TIMEOUT_S)
    return answer.ok and bool(answer.json().get(part, {}).get("status") == "healthy")


def postgres(settings: Settings) -> bool:
    """Say whether Postgres takes the administrator's password and answers a query."""
    try:
        connection = psycopg2.connect(
            host=settings["POSTGRES_HOST"],
            port=settings["POSTGRES_PORT"],
            user="postgres",
            password=settings["POSTGRES_ADMIN_PASSWORD"],
            dbname="postgres",
            connect_timeout=int(_TIMEOUT_S),
        )
    except psycopg2.OperationalError:
        return False
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    connection.close()
    return True
