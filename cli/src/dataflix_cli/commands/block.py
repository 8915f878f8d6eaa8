"""dataflix block."""

from datetime import datetime

import click

from dataflix_cli import rule_views
from dataflix_cli.commands.moments import for_api, until_option
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, json_option, page_options, pass_session


@click.group()
def block() -> None:
    """Keep films out of one user's lists."""


@block.command()
@click.argument("user")
@click.argument("movie")
@until_option(required=False)
@click.option("--owner", help="Who blocks it; the user if left out.")
@json_option
@pass_session
def add(session: Session, /, user: str, movie: str, until: datetime | None, owner: str | None) -> None:
    """Do not recommend MOVIE to USER; both are given by id or name."""
    body: dict[str, object] = {"movie_id": movie_id(session, movie)}
    if until is not None:
        body["ends_at"] = for_api(until)
    if owner is not None:
        body["owner"] = owner
    session.show(rule_views.blocked, session.api.post(f"/users/{user_id(session.api, user)}/blocks", body))


@block.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_blocks(session: Session, user: str, limit: int, offset: int) -> None:
    """List what USER is spared, the latest first."""
    path = f"/users/{user_id(session.api, user)}/blocks"
    session.show_page(rule_views.blocks, session.api.get(path, limit=limit, offset=offset))


@block.command()
@click.argument("user")
@click.argument("movie")
@json_option
@pass_session
def remove(session: Session, user: str, movie: str) -> None:
    """Let MOVIE be recommended to USER again, both by id or name."""
    of_user, of_movie = user_id(session.api, user), movie_id(session, movie)
    session.api.delete(f"/users/{of_user}/blocks/{of_movie}")
    session.show(rule_views.unblocked, {"user_id": of_user, "movie_id": of_movie, "removed": True})
