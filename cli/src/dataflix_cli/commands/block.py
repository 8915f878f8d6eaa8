"""dataflix block."""

from datetime import datetime

import click

from dataflix_cli import rule_views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import api_time, json_option, page_options, until_option
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, pass_session


@click.group()
def block() -> None:
    """Block movies from one user's recommendations."""


@block.command()
@click.argument("user")
@click.argument("movie")
@until_option(required=False)
@click.option("--owner", show_default="the user", help="Who blocks the movie.")
@json_option
@pass_session
def add(session: Session, /, user: str, movie: str, until: datetime | None, owner: str | None) -> None:
    """Do not recommend MOVIE to USER; both are given by id or name."""
    body: dict[str, object] = {"movie_id": movie_id(session, movie)}
    if until is not None:
        body["ends_at"] = api_time(until)
    if owner is not None:
        body["owner"] = owner
    session.show(
        rule_views.blocked, session.api.post(path_of("users", user_id(session.api, user), "blocks"), body)
    )


@block.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_blocks(session: Session, user: str, limit: int, offset: int) -> None:
    """List the movies that are blocked for USER, the latest first."""
    path = path_of("users", user_id(session.api, user), "blocks")
    session.show_page(rule_views.blocks, session.api.get(path, limit=limit, offset=offset))


@block.command()
@click.argument("user")
@click.argument("movie")
@json_option
@pass_session
def remove(session: Session, user: str, movie: str) -> None:
    """Unblock MOVIE for USER; both are given by id or name."""
    of_user, of_movie = user_id(session.api, user), movie_id(session, movie)
    session.api.delete(path_of("users", of_user, "blocks", of_movie))
    session.show(rule_views.unblocked, {"user_id": of_user, "movie_id": of_movie, "removed": True})
