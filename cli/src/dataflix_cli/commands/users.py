"""dataflix users."""

import click

from dataflix_cli import views
from dataflix_cli.lookup import user_id
from dataflix_cli.session import Session, json_option, page_options, pass_session


@click.group()
def users() -> None:
    """List, show and create users."""


@users.command("list")
@click.argument("beginning", required=False)
@page_options
@json_option
@pass_session
def list_users(session: Session, beginning: str | None, limit: int, offset: int) -> None:
    """List users, or those whose names begin with BEGINNING."""
    answer = session.api.get("/users", q=beginning, limit=limit, offset=offset)
    session.show_page(views.users, answer)


@users.command()
@click.argument("user")
@json_option
@pass_session
def show(session: Session, user: str) -> None:
    """Show USER, given by id or username."""
    session.show(views.user, session.api.get(f"/users/{user_id(session.api, user)}"))


@users.command()
@click.argument("username")
@click.argument("email")
@click.option("--first-name", default="", help="First name.")
@click.option("--last-name", default="", help="Last name.")
@click.option("--city", help="City of residence.")
@click.option("--state", help="State or region of residence.")
@click.option("--country", help="Country of residence.")
@click.option("--birth-year", type=click.IntRange(1900, 2100), help="Year of birth.")
@json_option
@pass_session
def create(session: Session, /, **person: object) -> None:
    """Create a user; nobody else may have the USERNAME or EMAIL."""
    session.show(views.user, session.api.post("/users", person))
