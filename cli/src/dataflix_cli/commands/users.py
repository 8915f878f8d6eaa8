"""dataflix users."""

import json
from pathlib import Path

import click

from dataflix_cli import views
from dataflix_cli.errors import InputError
from dataflix_cli.lookup import user_id
from dataflix_cli.session import Session, json_option, page_options, pass_session


@click.group()
def users() -> None:
    """List, show, create, export and erase users."""


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


@users.command()
@click.argument("user")
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Write it there, readable by you alone."
)
@json_option
@pass_session
def export(session: Session, user: str, file: Path | None) -> None:
    """Export what is stored of USER, by id or username.

    Everything that the database holds of the person, as JSON.
    """
    exported = session.api.get(f"/users/{user_id(session.api, user)}/export")
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.") from error
    session.output.done(f"Written to {file}")


@users.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def erase(session: Session, user: str, yes: bool) -> None:
    """Erase USER, given by id or username, for good.

    Everything that is stored of the person goes at once; the end of the next pipeline removes them from the
    warehouse, too.
    """
    erased = user_id(session.api, user)
    if not yes:
        question = f"Erase user {erased} with all ratings, views and feedback, for good?"
        click.confirm(question, abort=True, err=True)
    session.show(views.erasure, session.api.delete(f"/users/{erased}"))


@users.command()
@click.argument("erasure", type=click.IntRange(min=1))
@json_option
@pass_session
def erasure(session: Session, erasure: int) -> None:
    """Show what ERASURE, given by number, removed when."""
    session.show(views.erasure, session.api.get(f"/erasures/{erasure}"))
