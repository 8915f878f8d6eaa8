"""The accounts the server knows, and the check of a name and password."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from dataflix_clickhouse.errors import ErrorCode, QueryError


@dataclass(frozen=True)
class Account:
    """One user: the role whose grants it works under, and the variable that holds its password."""

    name: str
    role: str
    password_variable: str
    is_admin: bool = False
    is_readonly: bool = False


ACCOUNTS = (
    Account("dataflix_admin", "administrator", "DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD", is_admin=True),
    Account("elt_writer", "raw_writer", "DATAFLIX_CLICKHOUSE_ELT_PASSWORD"),
    Account("dbt", "transformer", "DATAFLIX_CLICKHOUSE_DBT_PASSWORD"),
    Account("trainer", "recommendation_writer", "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD"),
    Account("reader", "analytics_reader", "DATAFLIX_CLICKHOUSE_READER_PASSWORD", is_readonly=True),
)
ADMIN = ACCOUNTS[0]
_BY_NAME = {account.name: account for account in ACCOUNTS}


class Authenticator:
    """Checks names and passwords in a time that does not depend on where they differ."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = {name: password.encode() for name, password in passwords.items()}

    def check(self, name: str, password: str) -> Account:
        """Return the account.

        Raises:
            QueryError: the name is unknown or the password is wrong; the message does not tell which.
        """
        expected = self._passwords.get(name, b"")
        matches = hmac.compare_digest(expected, password.encode(errors="surrogateescape"))
        if not matches or not expected:
            raise QueryError(
                ErrorCode.AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return _BY_NAME[name]
