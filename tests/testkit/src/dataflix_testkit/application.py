"""Another application: one of the databases of `examples/` on a server of its own, with its own roles."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn

from dataflix_stack.services.postgres import binaries
from dataflix_testkit.postgres import PostgresServer, postgres
from dataflix_testkit.process import CORE_BIN, ROOT

READER = "dataflix_reader"
# Signs that mean something to shells, URLs and .env files.
READER_PASSWORD = "r3ads & 'nothing' #else$"
_PAUSE_S = 0.2
# The application's own statements take milliseconds; far more on a machine that does much else.
_STATEMENT_TIMEOUT = "60s"


@dataclass
class Application:
    """A running application that is not ours.

    Attributes:
        name: of the example and of its database.
        owner: address of the database as the owner of its tables, who is no superuser.
        app: address as the role that the application uses.
        failures: what went wrong for the application while its own work went on.
    """

    name: str
    server: PostgresServer
    owner: str
    app: str
    failures: list[str] = field(default_factory=list)
    statements: int = 0

    @property
    def description(self) -> Path:
        """Its `dataflix.yml`."""
        return ROOT / "examples" / self.name / "dataflix.yml"

    @property
    def settings(self) -> dict[str, str]:
        """What its owner writes into `.env`."""
        owner = parse_dsn(self.owner)
        values = {
            "HOST": self.server.host,
            "PORT": str(self.server.port),
            "DB": self.name,
            "USER": READER,
            "PASSWORD": READER_PASSWORD,
            # The owner's, for what looks at the rows before the first copy.
            "CHECK_PASSWORD": owner["password"],
        }
        return {f"DATAFLIX_SOURCE_{name}": value for name, value in values.items()}

    def rows(self, statement: str, *, role: str = "app", values: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement as the application or as the owner; returns its rows, if it has any."""
        connecting = closing(psycopg2.connect(getattr(self, role)))
        with connecting as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def run_script(self, script: str) -> None:
        """Run a script with psql, as its owner would."""
        self._program("psql", "--no-psqlrc", "--quiet", "--file", "-", self.owner, text=script)

    def schema(self, *options: str) -> list[str]:
        """Return the lines of a dump of the schema, without what differs in each dump."""
        admin = self.server.dsn("postgres", self.name)
        lines = self._program("pg_dump", "--schema-only", *options, admin).splitlines()
        return [line for line in lines if line and not re.match(r"--|\\(un)?restrict ", line)]

    @contextmanager
    def at_work(self, statement: str) -> Iterator[None]:
        """Let the application run a statement of its own again and again until the block ends."""
        over = threading.Event()

        def work() -> None:
            try:
                with closing(psycopg2.connect(self.app)) as connection, connection.cursor() as cursor:
                    connection.autocommit = True
                    cursor.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'")
                    while not over.wait(_PAUSE_S):
                        cursor.execute(statement)
                        self.statements += 1
            except psycopg2.Error as error:
                self.failures.append(str(error))

        worker = threading.Thread(target=work, name="application")
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()

    def _program(self, name: str, *arguments: str, text: str | None = None) -> str:
        result = subprocess.run(
            [str(binaries() / name), *arguments], input=text, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


@contextmanager
def application(example: str) -> Iterator[Application]:
    """Make an example's database on a server of its own, with the command that its README names."""
    with postgres(initialise=False) as server:
        admin = server.dsn("postgres", "postgres")
        command = [str(CORE_BIN / "python"), str(ROOT / "examples" / "create_database.py"), example, admin]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        addresses = dict(line.split(": ", 1) for line in made.stdout.splitlines())
        with closing(psycopg2.connect(admin)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {READER} LOGIN PASSWORD %s", (READER_PASSWORD,))
        yield Application(example, server, addresses["owner"], addresses["app"])
