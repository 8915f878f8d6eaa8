"""dataflix feedback."""

import click

from dataflix_cli import rule_views
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, json_option, pass_session

EVENTS = ("shown", "clicked", "watched", "dismissed")


@click.command()
@click.argument("recommendation_id")
@click.argument("event", type=click.Choice(EVENTS))
@click.argument("movie")
@click.option("--position", type=click.IntRange(1, 100), required=True, help="The film's rank in the list.")
@click.option("--user", help="Whose list it was, by id or username; left out for a session.")
@json_option
@pass_session
def feedback(
    session: Session, *, recommendation_id: str, event: str, movie: str, position: int, user: str | None
) -> None:
    """Tell what was done with a film of a list.

    RECOMMENDATION_ID comes with the list, EVENT is what happened, MOVIE an id or title. A film that a user
    dismissed is blocked for that user; dataflix block remove takes that back.
    """
    body: dict[str, object] = {
        "recommendation_id": recommendation_id,
        "event": event,
        "movie_id": movie_id(session, movie),
        "position": position,
    }
    if user is not None:
        body["user_id"] = user_id(session.api, user)
    session.show(rule_views.told, session.api.post("/feedback", body))
