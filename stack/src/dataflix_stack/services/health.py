"""Health checks of the running services."""

from http import HTTPStatus

import psycopg2
import psycopg2.extensions
import requests

from dataflix_stack.config.settings import Settings

# A healthy local service answers in milliseconds.
_TIMEOUT_S = 3.0


def http_ok(url: str) -> bool:
    """Return whether a GET answers with 200."""
    return requests.get(url, timeout=_TIMEOUT_S).status_code == HTTPStatus.OK


def denies_anonymous(url: str) -> bool:
    """Return whether S3 runs and refuses a request without credentials."""
    # To a request without a signature rclone answers 400 and MinIO 403.
    refusals = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
    return requests.get(url, timeout=_TIMEOUT_S).status_code in refusals


def airflow_process(settings: Settings, name: str) -> bool:
    """Return whether Airflow reports one of its processes as healthy."""
    answer = requests.get(settings.url("AIRFLOW") + "/api/v2/monitor/health", timeout=_TIMEOUT_S)
    return answer.ok and bool(answer.json().get(name, {}).get("status") == "healthy")


def postgres(settings: Settings) -> bool:
    """Return whether Postgres accepts the administrator's password and answers a query."""
    try:
        connection = _administrator(settings)
    except psycopg2.OperationalError:
        return False
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    connection.close()
    return True


def postgres_refusal(settings: Settings) -> str | None:
    """Return what to do if Postgres has another administrator's password than `.env`; None otherwise."""
    try:
        _administrator(settings).close()
    except psycopg2.OperationalError as error:
        # The server's messages are English: its locale is C.
        if "password authentication failed" in str(error):
            return (
                "Postgres has another password for its role postgres than DATAFLIX_POSTGRES_ADMIN_PASSWORD "
                f"in {settings.env_file}. Put the old one back. To change it, change it in Postgres first: "
                "ALTER ROLE postgres PASSWORD 'NEW'."
            )
    return None


def _administrator(settings: Settings) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host=settings["POSTGRES_HOST"],
        port=settings["POSTGRES_PORT"],
        user="postgres",
        password=settings["POSTGRES_ADMIN_PASSWORD"],
        dbname="postgres",
        connect_timeout=int(_TIMEOUT_S),
    )
