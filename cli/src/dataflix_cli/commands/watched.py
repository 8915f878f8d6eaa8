"""dataflix watched."""

from datetime import datetime

import click

from dataflix_cli import views
from dataflix_cli.commands.moments import MOMENT, for_api
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, json_option, page_options, pass_session


@click.group()
def watched() -> None:
    """Mark films as watched, and list them."""


@watched.command()
@click.argument("user")
@click.argument("movie")
@click.option("--at", "moment", type=MOMENT, help="When it was watched, in local time; now if left out.")
@json_option
@pass_session
def add(session: Session, user: str, movie: str, moment: datetime | None) -> None:
    """Mark MOVIE as watched by USER; both are given by id or name."""
    body: dict[str, object] = {"user_id": user_id(session.api, user), "movie_id": movie_id(session, movie)}
    if moment is not None:
        body["watched_at"] = for_api(moment)
    session.show(views.marked, session.api.post("/watched", body))


@watched.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_watched(session: Session, user: str, limit: int, offset: int) -> None:
    """List what USER has watched, the latest first."""
    path = f"/watched/{user_id(session.api, user)}"
    session.show_page(views.watched, session.api.get(path, limit=limit, offset=offset))
