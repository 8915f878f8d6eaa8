"""dataflix watched."""

from datetime import datetime

import click

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import LOCAL_TIME, api_time, json_option, page_options
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, pass_session


@click.group()
def watched() -> None:
    """Mark movies as watched, take that back, and list them."""


@watched.command()
@click.argument("user")
@click.argument("movie")
@click.option(
    "--at", "watched_at", type=LOCAL_TIME, show_default="now", help="When it was watched, in local time."
)
@json_option
@pass_session
def add(session: Session, user: str, movie: str, watched_at: datetime | None) -> None:
    """Mark MOVIE as watched by USER; both are given by id or name."""
    body: dict[str, object] = {"user_id": user_id(session.api, user), "movie_id": movie_id(session, movie)}
    if watched_at is not None:
        body["watched_at"] = api_time(watched_at)
    session.show(views.marked_as_watched, session.api.post("/watched", body))


@watched.command()
@click.argument("user")
@click.argument("movie")
@json_option
@pass_session
def remove(session: Session, user: str, movie: str) -> None:
    """Take back that USER has watched MOVIE; a rating stays."""
    of_user, of_movie = user_id(session.api, user), movie_id(session, movie)
    session.api.delete(path_of("watched", of_user, of_movie))
    session.show(views.view_removed, {"user_id": of_user, "movie_id": of_movie, "removed": True})


@watched.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_watched(session: Session, user: str, limit: int, offset: int) -> None:
    """List the movies that USER has watched, the latest first."""
    path = path_of("watched", user_id(session.api, user))
    session.show_page(views.watched, session.api.get(path, limit=limit, offset=offset))
