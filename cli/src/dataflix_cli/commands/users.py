"""dataflix users."""

import json
from pathlib import Path

import click

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import json_option, page_options
from dataflix_cli.errors import InputError
from dataflix_cli.lookup import user_id
from dataflix_cli.session import Session, pass_session
from dataflix_cli.text import safe
from dataflix_common.click_types import PathType
from dataflix_common.files import replace_file


@click.group()
def users() -> None:
    """List, show, create, export and erase users."""


@users.command("list")
@click.argument("prefix", required=False)
@page_options
@json_option
@pass_session
def list_users(session: Session, prefix: str | None, limit: int, offset: int) -> None:
    """List all users, or those whose name starts with PREFIX."""
    answer = session.api.get("/users", q=prefix, limit=limit, offset=offset)
    session.show_page(views.users, answer)


@users.command()
@click.argument("user")
@json_option
@pass_session
def show(session: Session, user: str) -> None:
    """Show USER, given by id or username."""
    session.show(views.user, session.api.get(path_of("users", user_id(session.api, user))))


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
    """Create a user; USERNAME and EMAIL must be unique."""
    session.show(views.user, session.api.post("/users", person))


@users.command()
@click.argument("user")
@click.option(
    "--file",
    type=PathType(dir_okay=False),
    help="Write to this file, which only you can read.",
)
@json_option
@pass_session
def export(session: Session, user: str, file: Path | None) -> None:
    """Export the data of USER, given by id or username.

    The export is JSON and has everything that the database stores about the person.
    """
    exported = session.api.get(path_of("users", user_id(session.api, user), "export"))
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        _write_private(file, text)
    except (OSError, RuntimeError) as error:
        # RuntimeError: links that lead to themselves.
        raise InputError(f"{file} cannot be written: {getattr(error, 'strerror', error)}.") from error
    session.output.done(f"Written to {file}")


def _write_private(file: Path, text: str) -> None:
    target = file.resolve()
    if target.exists() and not target.is_file():
        # A device or a pipe cannot be replaced.
        target.write_text(text, encoding="utf-8")
    else:
        # A file that existed keeps neither its permissions nor, when the disk is full, half an export.
        replace_file(target, text)


@users.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@pass_session
def erase(session: Session, user: str, yes: bool) -> None:
    """Erase USER, given by id or username, for good.

    The database deletes everything about the person at once. The next pipeline run removes the person from
    the warehouse.
    """
    erased = user_id(session.api, user)
    if not yes:
        person = f"{session.api.source.person} {safe(erased)}"
        question = f"Erase {person} with all ratings, views and feedback, for good?"
        click.confirm(question, abort=True, err=True)
    session.show(views.erasure, session.api.delete(path_of("users", erased)))


@users.command()
@click.argument("erasure", type=click.IntRange(min=1))
@json_option
@pass_session
def erasure(session: Session, erasure: int) -> None:
    """Show the state of ERASURE, given by its number."""
    session.show(views.erasure, session.api.get(path_of("erasures", erasure)))
