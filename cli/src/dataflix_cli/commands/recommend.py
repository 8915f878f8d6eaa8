"""dataflix recommend."""

import click

from dataflix_cli import views
from dataflix_cli.lookup import user_id
from dataflix_cli.session import Session, count_option, json_option, pass_session


@click.command()
@click.argument("user")
@count_option
@json_option
@pass_session
def recommend(session: Session, user: str, count: int) -> None:
    """Recommend films to USER, given by id or username, and say why."""
    path = f"/recommendations/{user_id(session.api, user)}"
    session.show(views.recommendations, session.api.get(path, n=count))
