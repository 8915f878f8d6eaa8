"""How commands speak: data on stdout, progress and errors on stderr."""

import functools
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from dataflix_recommender.errors import RecommenderError
from dataflix_trainer.errors import TrainerError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found out: ``data`` for programs, ``text`` for people."""

    data: Any
    text: str


def answers(command: Callable[..., Answer]) -> Callable[..., None]:
    """Print a command's Answer, or its error and exit with the error's code.

    With ``--json`` stdout is one JSON document either way; an error is ``{"error": "..."}``.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def wrapped(*, as_json: bool, **options: Any) -> None:
        _log_to_stderr()
        try:
            answer = command(**options)
        except (TrainerError, RecommenderError) as error:
            if as_json:
                click.echo(json.dumps({"error": str(error)}))
            click.echo(f"error: {error}", err=True)
            sys.exit(getattr(error, "exit_code", 1))
        click.echo(json.dumps(answer.data) if as_json else answer.text)

    return wrapped


def told(command: Callable[..., str]) -> Callable[..., None]:
    """Print a command's text, or its error and exit with the error's code; files it writes by itself."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        _log_to_stderr()
        try:
            text = command(**options)
        except (TrainerError, RecommenderError) as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(getattr(error, "exit_code", 1))
        click.echo(text)

    return wrapped


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="time=%(asctime)s level=%(levelname)s %(message)s"
    )
    logging.getLogger("dataflix_trainer").setLevel(logging.INFO)
    # It logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
