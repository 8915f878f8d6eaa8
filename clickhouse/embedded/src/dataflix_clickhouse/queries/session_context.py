"""A connection with the database and settings that a request expects."""

import json
from collections.abc import Mapping

from dataflix_clickhouse.access import limits, roles
from dataflix_clickhouse.access.accounts import Account
from dataflix_clickhouse.engine.chdb_engine import Connection, Engine, QueryResult, quote, quote_name
from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError

DEFAULT_DATABASE = "default"


class SessionContext:
    """One connection of an account, for one session or one request.

    Database and settings in a request's parameters apply to that request only. USE and SET statements apply
    to the whole session. A connection has only one state, so `prepare` undoes the settings of the request
    before.

    Attributes:
        is_changed: whether a statement has changed the session, so that a new one would not be the same.
    """

    def __init__(self, engine: Engine, account: Account) -> None:
        self._account = account
        self.is_changed = False
        self._connection: Connection = engine.connect(account.role)
        # The profile bounds the memory that later statements can set; its values themselves do not apply.
        memory = limits.account_memory(account)
        readonly = ", readonly = 2" if account.is_readonly else ""
        self.run(f"SET profile = {quote(account.name)}, {roles.MEMORY_SETTING} = {memory}{readonly}")
        self._session_database = DEFAULT_DATABASE
        self._database = DEFAULT_DATABASE
        self._request_settings: dict[str, str] = {}
        self._session_values: dict[str, str | None] = {}

    def prepare(self, database: str | None, settings: Mapping[str, str]) -> None:
        """Apply the database and settings of a request.

        Raises:
            QueryError: the database or a setting does not exist, or the account may not change it.
        """
        wanted = database or self._session_database
        if wanted != self._database:
            self.run(f"USE {quote_name(wanted)}")
            self._database = wanted
        for name in [name for name in self._request_settings if name not in settings]:
            before = self._session_values.pop(name, None)
            self.run(f"SET {name} = {'DEFAULT' if before is None else quote(before)}")
            del self._request_settings[name]
        changes = {
            name: value for name, value in settings.items() if self._request_settings.get(name) != value
        }
        if changes:
            self._save_session_values([name for name in changes if name not in self._request_settings])
            # Before SET runs: when the engine refuses one of them, it may have set others.
            self._request_settings.update(changes)
            self.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in changes.items()))

    def _save_session_values(self, names: list[str]) -> None:
        """Save the session's values of settings that a request will change."""
        if not names:
            return
        listed = ", ".join(quote(name) for name in names)
        query = f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})"  # noqa: S608  quoted
        rows = json.loads(self.run(query, "JSONCompact").data)["data"]
        self._session_values.update({name: value if changed else None for name, value, changed in rows})

    def use(self, database: str) -> None:
        """Record that a USE statement changed the database of the session."""
        self._session_database = self._database = database

    def run(
        self, sql: str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> QueryResult:
        """Run one statement.

        Raises:
            QueryError: the engine failed; the message names the account instead of the engine's only user.
        """
        try:
            return self._connection.run(sql, output_format, params)
        except QueryError as error:
            if error.code == ErrorCode.ACCESS_DENIED:
                message = error.message.replace("default: ", f"{self._account.name}: ", 1)
                raise QueryError(error.code, message) from error
            raise

    def canonical(self, sql: str) -> str:
        """Return the statement as the engine formats it."""
        return self._connection.canonical(sql)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
