"""``dataflix-backend keys``: make, list, rotate and revoke API keys, directly in the database.

The command needs no API key, so it also makes the first one and helps when all keys are lost.
"""

import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import click
import orjson

from dataflix_backend.api_key import SCOPES, new_secret, secret_hash
from dataflix_backend.database import Database
from dataflix_backend.exceptions import BackendError
from dataflix_backend.plain_errors import discard_output
from dataflix_backend.queries import api_keys
from dataflix_backend.queries.source import find_numbers, load_source
from dataflix_backend.schemas.fields import MAX_ID
from dataflix_backend.settings import PostgresSettings
from dataflix_backend.source import Source
from dataflix_common.env_file import with_env_file
from dataflix_common.settings import SettingsError

# Enough time to give every copy of a client its new secret.
DEFAULT_OVERLAP_H = 24
# For a longer overlap, make a second key.
MAX_OVERLAP_H = 24 * 30

# The same rule as the table's check constraint.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Result = TypeVar("Result")


class _Name(click.ParamType[str]):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if not _NAME.fullmatch(str(value)):
            self.fail("must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", param, context)
        return str(value)


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke API keys, directly in the database.

    The address of Postgres comes from the environment, or from .env next to the virtual environment.
    """


@keys.command()
@click.argument("name", type=_Name())
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What the key may do; repeat the option for more. admin includes the others.",
)
@click.option(
    "--user",
    metavar="ID",
    help="The id of the one user that the key acts for; the application's id where our tables are a copy.",
)
def create(name: str, scopes: Sequence[str], user: str | None) -> None:
    """Make a key for the client NAME and print its secret, which is never shown again."""
    if name == api_keys.BOOTSTRAP:
        raise click.ClickException(f"{name} is the name of the key in .env; choose another.")
    if user is not None and "admin" in scopes:
        raise click.ClickException("A key of one user can't have the scope admin.")
    secret = new_secret()
    chosen = sorted(set(scopes))

    def create_key(database: Database) -> int:
        user_id = None if user is None else _user_id(database, user)
        try:
            return api_keys.create_key(database, name, chosen, user_id, secret_hash(secret))
        except api_keys.UnknownUserError as error:
            # In a copy, the number is ours.
            raise _no_such_person(load_source(database), str(user)) from error

    _with_database(create_key)
    _show_once(name, secret)


@keys.command()
@click.argument("name", type=_Name())
@click.option(
    "--overlap",
    "hours",
    type=click.IntRange(0, MAX_OVERLAP_H),
    default=DEFAULT_OVERLAP_H,
    show_default=True,
    help="How many hours the current secret stays valid.",
)
def rotate(name: str, hours: int) -> None:
    """Give the key NAME a new secret and print it; the current one stays valid for a while."""
    secret = new_secret()
    overlap = timedelta(hours=hours)
    _with_database(lambda database: api_keys.rotate_key(database, name, overlap, secret_hash(secret)))
    _show_once(name, secret)
    if name == api_keys.BOOTSTRAP:
        click.echo("Put it into .env as DATAFLIX_API_KEY and restart: ./stop.sh && ./run.sh", err=True)


@keys.command()
@click.argument("name", type=_Name())
def revoke(name: str) -> None:
    """Revoke the key NAME with all its secrets, within a few seconds."""
    _with_database(lambda database: api_keys.revoke_key(database, name))
    click.echo(f"{name} is revoked.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List all keys, revoked ones too. Secrets are not stored and cannot be listed."""
    rows, source = _with_database(lambda database: (api_keys.list_keys(database), load_source(database)))
    for row in rows:
        key = row.pop("source_key")
        if key is not None:
            row["user_id"] = source.person_ids.to_json(key)
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        return
    for row in rows:
        person = source.words.person
        owner = f"no {person}" if row["user_id"] is None else f"{person} {_printable(row['user_id'])}"
        state = f"made {row['secret_made_at']:%Y-%m-%d}"
        if row["old_secret_ends_at"]:
            state += f", old secret until {row['old_secret_ends_at']:%Y-%m-%d %H:%M} UTC"
        if row["revoked_at"]:
            state = f"revoked {row['revoked_at']:%Y-%m-%d}"
        click.echo(f"{row['key_id']:>4}  {row['name']:<24} {','.join(row['scopes']):<12} {owner:<12} {state}")


def _user_id(database: Database, text: str) -> int:
    """Return our number of the user that an id names.

    Raises:
        BadParameter: this can't be an id.
        KeyNameError: nobody has this id.
    """
    source = load_source(database)
    key = source.person_ids.from_text(text)
    if key is None or not (source.is_copy or 1 <= int(key) <= MAX_ID):
        advice = source.person_ids.advice if source.is_copy else f"whole numbers from 1 to {MAX_ID}"
        raise click.BadParameter(f"{text!r} is no id; ids are {advice}.", param_hint="'--user'")
    if not source.is_copy:
        return int(key)
    for _, _, number in find_numbers(database, [key], []):
        return number
    raise _no_such_person(source, text)


def _no_such_person(source: Source, text: str) -> api_keys.UnknownUserError:
    return api_keys.UnknownUserError(f"There is no {source.words.person} with the id {text}.")


def _printable(value: object) -> str:
    """Return a value for a terminal: an id of another application may hold any character."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def _show_once(name: str, secret: str) -> None:
    try:
        click.echo(secret)
    except OSError as error:
        discard_output()
        raise click.ClickException(
            f"The new secret could not be written: {error.strerror}. It is lost, but the key {name} exists; "
            f"dataflix-backend keys rotate {name} --overlap 0 makes another one."
        ) from error
    click.echo("This secret is shown once: only its hash is stored.", err=True)


def _with_database(work: Callable[[Database], Result]) -> Result:
    try:
        database = Database(PostgresSettings.from_environ(with_env_file(os.environ)), 1)
        try:
            return work(database)
        finally:
            database.close()
    except (SettingsError, api_keys.KeyNameError) as error:
        raise click.ClickException(str(error)) from error
    except BackendError as error:
        raise click.ClickException(error.detail) from error
