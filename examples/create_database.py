#!/usr/bin/env python3
"""Makes one of the example databases: examples/create_database.py dvdrental|shop URI."""

import argparse
import secrets
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case
from psycopg2.extensions import make_dsn, parse_dsn

EXAMPLES = ("dvdrental", "shop")
FOLDER = Path(__file__).resolve().parent


class Example(Protocol):
    """What the module `data` of an example has."""

    def fill(self, connection: Connection) -> None:
        """Write all rows into the empty tables."""


class ExampleError(Exception):
    """The database can't be made. The message says why and what to do."""


def create(example: str, uri: str, *, name: str | None = None) -> dict[str, str]:
    """Make a database with the tables and rows of an example, its owner and its application's role.

    Args:
        example: one of EXAMPLES.
        uri: address of any database of the server, as a role that may create databases and roles.
        name: of the new database and prefix of its roles; by default the example's.

    Returns:
        The addresses of the database, by role: `owner` and `app`.

    Raises:
        ExampleError: the server can't be reached, or the database or its roles are already there.
    """
    name = name or example
    roles = {"owner": f"{name}_owner", "app": f"{name}_app"}
    passwords = {role: secrets.token_hex(12) for role in roles}
    try:
        with closing(psycopg2.connect(uri)) as admin:
            admin.autocommit = True
            _create_roles_and_database(admin, name, roles, passwords)
        with closing(psycopg2.connect(make_dsn(uri, dbname=name))) as connection, connection:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles["owner"])))
                schema = (FOLDER / example / "schema.sql").read_text(encoding="utf-8")
                cursor.execute(schema.replace(":app", sql.Identifier(roles["app"]).as_string(cursor)))
            cast(Example, import_module(f"{example}.data")).fill(connection)
    except psycopg2.Error as error:
        raise ExampleError(f"The database {name} can't be made: {str(error).strip()}") from error
    parts = parse_dsn(uri)
    server = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    return {role: f"postgresql://{roles[role]}:{quote(passwords[role])}@{server}/{name}" for role in roles}


def _create_roles_and_database(
    admin: Connection, name: str, roles: dict[str, str], passwords: dict[str, str]
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", (name,))
        if (cursor.fetchone() or (False,))[0]:
            raise ExampleError(f"There is a database {name} already; it stays as it is. Drop it first.")
        for role, role_name in roles.items():
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(role_name), sql.Literal(passwords[role])
                )
            )
        cursor.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                sql.Identifier(name), sql.Identifier(roles["owner"])
            )
        )


def main(arguments: list[str] | None = None) -> int:
    """Make the database and print the addresses of its roles; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make an example database.")
    parser.add_argument("example", choices=EXAMPLES)
    parser.add_argument("uri", help="postgresql://… of a role that may create databases and roles")
    parser.add_argument("--name", help="name of the database (that of the example)")
    options = parser.parse_args(arguments)
    try:
        addresses = create(options.example, options.uri, name=options.name)
    except ExampleError as error:
        print(error, file=sys.stderr)
        return 1
    for role, address in addresses.items():
        print(f"{role}: {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
