"""The summary that `./run.sh` prints: addresses, credentials and the recommendations of one user."""

from typing import Any
from urllib.parse import quote

import requests
from rich.console import Console
from rich.markup import escape

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.served_model import latest_publication, served_version, why_none
from dataflix_stack.services.registry import BY_NAME
from dataflix_stack.services.startup import is_healthy

_TIMEOUT_S = 10


def print_summary(settings: Settings, *, logs: str | None = None) -> None:
    """Print addresses, the place of credentials and logs, and one user's recommendations to stdout.

    Args:
        settings: the stack's settings.
        logs: where state and logs are; by default the state folder.

    Raises:
        StackError: the API does not answer.
    """
    # No line breaks: piped output has no width, and a cut address is useless.
    console = Console(highlight=False, soft_wrap=True)
    console.print("\n[bold]Dataflix is running[/]")
    for name, address, user in _addresses(settings):
        console.print(f"  {name:<14} {address:<34} {user}")
    where = escape(logs or str(settings.home))
    console.print(f"  Credentials: {escape(str(settings.env_file))}   State and logs: {where}")
    version = served_version(settings)
    if version is None:
        console.print("\n[bold]No model serves: popular movies are recommended.[/]")
        console.print(f"  {escape(why_none(latest_publication(settings)))}")
    else:
        console.print(f"  Model: version {escape(version)}")
    _print_recommendations(console, settings)
    if not is_healthy(BY_NAME["superset"], settings):
        console.print("\nSuperset is still starting in the background; see ./run.sh status.")
    console.print("\nNext: .venv/bin/dataflix   ./run.sh status   ./run.sh pipeline   ./stop.sh")


def _print_recommendations(console: Console, settings: Settings) -> None:
    users = _get(settings, "/users", {"limit": "1"})["data"]
    if not users:
        console.print("\nThe database has no users yet, so there is nobody to recommend to.")
        return
    # With a database of one's own it is that application's id, whatever it looks like.
    user_id = str(users[0]["user_id"])
    answer = _get(settings, f"/recommendations/{quote(user_id, safe='')}", {"limit": "5"})
    console.print(f"\n[bold]Top recommendations for user {escape(user_id)}[/]")
    for entry in answer["data"]:
        title, reason = escape(entry["title"]), escape(entry["reason"]["text"])
        console.print(f"  {entry['rank']}. {title}  [dim]{entry['score']:.2f}[/]\n     {reason}")
    if not answer["data"]:
        console.print("  none: there is no movie that this user has not watched")


def _addresses(settings: Settings) -> list[tuple[str, str, str]]:
    postgres = f"{settings['POSTGRES_HOST']}:{settings['POSTGRES_PORT']}"
    return [
        ("API", settings.url("BACKEND") + "/docs", "key: DATAFLIX_API_KEY"),
        ("Airflow", settings.url("AIRFLOW"), "admin, DATAFLIX_AIRFLOW_ADMIN_PASSWORD"),
        ("MLflow", settings.url("MLFLOW"), ""),
        ("Superset", settings.url("SUPERSET"), "admin, DATAFLIX_SUPERSET_ADMIN_PASSWORD"),
        ("Trainer jobs", settings.url("TRAINER"), "token: DATAFLIX_TRAINER_TOKEN"),
        ("ClickHouse", settings.url("CLICKHOUSE"), "reader, DATAFLIX_CLICKHOUSE_READER_PASSWORD"),
        ("S3", settings.url("S3"), "DATAFLIX_S3_ACCESS_KEY, DATAFLIX_S3_SECRET_KEY"),
        ("Postgres", postgres, "postgres, DATAFLIX_POSTGRES_ADMIN_PASSWORD"),
    ]


def _get(settings: Settings, path: str, parameters: dict[str, str]) -> Any:
    headers = {"X-API-Key": settings["API_KEY"]}
    try:
        answer = requests.get(
            settings.url("BACKEND") + path, params=parameters, headers=headers, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as error:
        raise StackError(
            f"The API did not answer {path}: {error}. Its log is {settings.logs / 'backend.log'}."
        ) from error
