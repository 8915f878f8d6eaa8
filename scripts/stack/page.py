"""What `./run.sh` prints at its end: where everything is, and the recommendations of one user."""

from typing import Any

import requests
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stack.errors import StackError
from stack.settings import Settings

_TIMEOUT_S = 10


def print_page(settings: Settings) -> None:
    """Print addresses, where the credentials are, and one user's top recommendations, to stdout.

    Raises:
        StackError: the API did not answer.
    """
    console = Console(highlight=False)
    console.print(_addresses(settings))
    console.print(f"Credentials: {settings.env_file}   State and logs: {settings.home}\n")
    user_id = _a_user(settings)
    answer = _get(settings, f"/recommendations/{user_id}", {"n": "5"})
    table = Table("#", "Film", "Score", "Why", title=f"Top recommendations for user {user_id}")
    for entry in answer["data"]:
        text = entry["reason"]["text"]
        table.add_row(str(entry["rank"]), escape(entry["title"]), f"{entry['score']:.2f}", escape(text))
    console.print(table)
    console.print("Next: .venv/bin/dataflix   ./run.sh status   ./run.sh pipeline   ./stop.sh")


def _addresses(settings: Settings) -> Table:
    table = Table("Service", "Address", "User", title="Dataflix is running")
    table.add_row("API and its documentation", settings.url("BACKEND") + "/docs", "DATAFLIX_API_KEY")
    table.add_row("Airflow", settings.url("AIRFLOW"), "admin, DATAFLIX_AIRFLOW_ADMIN_PASSWORD")
    table.add_row("MLflow", settings.url("MLFLOW"), "")
    table.add_row("Trainer jobs", settings.url("TRAINER"), "DATAFLIX_TRAINER_TOKEN")
    table.add_row("ClickHouse", settings.url("CLICKHOUSE"), "reader, DATAFLIX_CLICKHOUSE_READER_PASSWORD")
    table.add_row("S3", settings.url("S3"), "DATAFLIX_S3_ACCESS_KEY, ..._SECRET_KEY")
    address = f"{settings['POSTGRES_HOST']}:{settings['POSTGRES_PORT']}"
    table.add_row("Postgres", address, "postgres, DATAFLIX_POSTGRES_ADMIN_PASSWORD")
    return table


def _a_user(settings: Settings) -> int:
    users = _get(settings, "/users", {"limit": "1"})["data"]
    if not users:
        raise StackError(
            "The database has no users, so there is nobody to recommend to; see the data load above."
        )
    return int(users[0]["user_id"])


def _get(settings: Settings, path: str, parameters: dict[str, str]) -> Any:
    headers = {"X-API-Key": settings["API_KEY"]}
    try:
        answer = requests.get(
            settings.url("BACKEND") + path, params=parameters, headers=headers, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        raise StackError(
            f"The API did not answer {path}: {error}. See {settings.logs / 'backend.log'}."
        ) from error
    return answer.json()
