"""A handle with the state a request expects of it: its database and its settings."""

import json
from collections.abc import Mapping

from dataflix_clickhouse.engine import Engine, Handle, Outcome, quote, quote_name
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError
from dataflix_clickhouse.users import Account

DEFAULT_DATABASE = "default"


class Context:
    """One account's handle.

    A request's own database and settings hold for that request; USE and SET of a session's statements hold
    for the session. A handle has only one state, so what a request has set is taken back when the next one
    does not ask for it.
    """

    def __init__(self, engine: Engine, account: Account) -> None:
        self._account = account
        self._handle: Handle = engine.handle(account.role)
        if account.is_readonly:
            self.run("SET readonly = 2")
        self._session_database = DEFAULT_DATABASE
        self._database = DEFAULT_DATABASE
        self._applied: dict[str, str] = {}
        self._session_values: dict[str, str | None] = {}

    def prepare(self, database: str | None, settings: Mapping[str, str]) -> None:
        """Put the handle into a request's database and settings.

        Raises:
            QueryError: the database or a setting does not exist, or may not be changed.
        """
        wanted = database or self._session_database
        if wanted != self._database:
            self.run(f"USE {quote_name(wanted)}")
            self._database = wanted
        for name in [name for name in self._applied if name not in settings]:
            before = self._session_values.pop(name, None)
            self.run(f"SET {name} = {'DEFAULT' if before is None else quote(before)}")
            del self._applied[name]
        changes = {name: value for name, value in settings.items() if self._applied.get(name) != value}
        if changes:
            self._remember([name for name in changes if name not in self._applied])
            # Noted first: when one of them is refused, the others may have been set.
            self._applied.update(changes)
            self.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in changes.items()))

    def _remember(self, names: list[str]) -> None:
        """Note the session's own values of settings that a request is about to change."""
        if not names:
            return
        listed = ", ".join(quote(name) for name in names)
        asked = f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})"  # noqa: S608  quoted
        rows = json.loads(self.run(asked, "JSONCompact").data)["data"]
        self._session_values.update({name: value if changed else None for name, value, changed in rows})

    def use(self, database: str) -> None:
        """Take note that a statement has changed the session's database."""
        self._session_database = self._database = database

    def run(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one statement.

        Raises:
            QueryError: the engine's error, with the account's name in the place of the engine's one user.
        """
        try:
            return self._handle.run(sql, output_format, params)
        except QueryError as error:
            if error.code == ErrorCode.ACCESS_DENIED:
                message = error.message.replace("default: ", f"{self._account.name}: ", 1)
                raise QueryError(error.code, message) from error
            raise

    def canonical(self, sql: str) -> str:
        """Return the statement as the engine formats it."""
        return self._handle.canonical(sql)

    def close(self) -> None:
        """Give the handle back."""
        self._handle.close()
