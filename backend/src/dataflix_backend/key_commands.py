"""dataflix-backend keys: makes, lists, rotates and revokes keys of the API, on the database itself.

It needs no key, so there is always a way to the first one and out of having lost all.
"""

import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import click
import orjson

from dataflix_backend.access.keys import SCOPES, new_secret, secret_hash
from dataflix_backend.database import Database
from dataflix_backend.errors import Problem
from dataflix_backend.queries import keys as stored
from dataflix_backend.settings import PostgresSettings, SettingsError, with_env_file

# Time enough to give every copy of a client its new secret.
DEFAULT_OVERLAP_H = 24
# Whoever needs longer should make a second key.
MAX_OVERLAP_H = 24 * 30

# As the table's check constraint has it.
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
    """Make, list, rotate and revoke keys of the API, on the database itself.

    Where Postgres is comes from the environment, or from .env beside the virtual environment.
    """


@keys.command()
@click.argument("name", type=_Name())
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What it may do; give it again for more. admin includes the others.",
)
@click.option("--user", "user_id", type=click.IntRange(1), help="The id of the one user it acts for.")
def create(name: str, scopes: Sequence[str], user_id: int | None) -> None:
    """Make a key for the client NAME and print its secret, which is never shown again."""
    if name == stored.BOOTSTRAP:
        raise click.ClickException(f"{name} is the name of the key in .env; choose another.")
    if user_id is not None and "admin" in scopes:
        raise click.ClickException("A key of one user can't be an administrator's.")
    secret = new_secret()
    chosen = sorted(set(scopes))
    _on_database(lambda database: stored.create_key(database, name, chosen, user_id, secret_hash(secret)))
    _show_once(secret)


@keys.command()
@click.argument("name", type=_Name())
@click.option(
    "--overlap",
    "hours",
    type=click.IntRange(0, MAX_OVERLAP_H),
    default=DEFAULT_OVERLAP_H,
    show_default=True,
    help="How many hours the present secret goes on working.",
)
def rotate(name: str, hours: int) -> None:
    """Give the key NAME a new secret and print it; the present one goes on working for a while."""
    secret = new_secret()
    overlap = timedelta(hours=hours)
    _on_database(lambda database: stored.rotate_key(database, name, overlap, secret_hash(secret)))
    _show_once(secret)
    if name == stored.BOOTSTRAP:
        click.echo("Put it into .env as DATAFLIX_API_KEY and start again: ./stop.sh && ./run.sh", err=True)


@keys.command()
@click.argument("name", type=_Name())
def revoke(name: str) -> None:
    """Take the key NAME away, with all its secrets, within a few seconds."""
    _on_database(lambda database: stored.revoke_key(database, name))
    click.echo(f"{name} is revoked.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List all keys, revoked ones too; secrets are not stored and can't be listed."""
    rows = _on_database(stored.list_keys)
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        return
    for row in rows:
        whose = f"user {row['user_id']}" if row["user_id"] else "no user"
        state = f"made {row['secret_made_at']:%Y-%m-%d}"
        if row["old_secret_ends_at"]:
            state += f", old secret until {row['old_secret_ends_at']:%Y-%m-%d %H:%M} UTC"
        if row["revoked_at"]:
            state = f"revoked {row['revoked_at']:%Y-%m-%d}"
        click.echo(f"{row['key_id']:>4}  {row['name']:<24} {','.join(row['scopes']):<12} {whose:<12} {state}")


def _show_once(secret: str) -> None:
    click.echo(secret)
    click.echo("This is shown once: of the secret only a hash is kept.", err=True)


def _on_database(work: Callable[[Database], Result]) -> Result:
    try:
        database = Database(PostgresSettings.from_environ(with_env_file(os.environ)), 1)
        try:
            return work(database)
        finally:
            database.close()
    except (SettingsError, stored.KeyNameError) as error:
        raise click.ClickException(str(error)) from error
    except Problem as error:
        raise click.ClickException(error.detail) from error
