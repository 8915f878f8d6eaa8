"""dataflix feedback."""

import click

from dataflix_cli import rule_views
from dataflix_cli.commands.options import json_option
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, pass_session

EVENTS = ("shown", "clicked", "watched", "dismissed")


@click.command()
@click.argument("recommendation_id")
@click.argument("event", type=click.Choice(EVENTS))
@click.argument("movie")
@click.option("--position", type=click.IntRange(1, 100), required=True, help="Rank of the movie in the list.")
@click.option("--user", help="User who got the list, by id or username; leave it out for a session.")
@json_option
@pass_session
def feedback(
    session: Session, *, recommendation_id: str, event: str, movie: str, position: int, user: str | None
) -> None:
    """Report what a user did with a recommended movie.

    RECOMMENDATION_ID is the id of the list, EVENT what happened, MOVIE an id or title. A movie that a user
    dismissed is blocked for that user; dataflix block remove unblocks it.
    """
    body: dict[str, object] = {
        "recommendation_id": recommendation_id,
        "event": event,
        "movie_id": movie_id(session, movie),
        "position": position,
    }
    if user is not None:
        body["user_id"] = user_id(session.api, user)
    session.show(rule_views.feedback_recorded, session.api.post("/feedback", body))
