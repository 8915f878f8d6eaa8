"""The accounts of the server, and authentication by name and password."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import QueryError, query_error


@dataclass(frozen=True)
class Account:
    """One user.

    Attributes:
        role: the role whose grants apply to the account.
        password_variable: the environment variable with its password.
        max_statements: how many of its statements run at a time. The slots are its own, so no account can
            take those of another one.
        memory_share: the part of the engine's memory that its statements may use, one or all together.
        is_admin: whether the statement policy lets it run everything.
        is_readonly: whether its connections get `readonly = 2`.
    """

    name: str
    role: str
    password_variable: str
    max_statements: int
    memory_share: float
    is_admin: bool = False
    is_readonly: bool = False


ACCOUNTS = (
    Account("dataflix_admin", "administrator", "DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD", 16, 0.7, is_admin=True),
    Account("elt_writer", "raw_writer", "DATAFLIX_CLICKHOUSE_ELT_PASSWORD", 24, 0.7),
    Account("dbt", "transformer", "DATAFLIX_CLICKHOUSE_DBT_PASSWORD", 20, 0.7),
    Account("trainer", "recommendation_writer", "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD", 12, 0.5),
    Account("reader", "analytics_reader", "DATAFLIX_CLICKHOUSE_READER_PASSWORD", 24, 0.25, is_readonly=True),
)
ADMIN = ACCOUNTS[0]
# Threads for statements: one for each slot.
MAX_STATEMENTS = sum(account.max_statements for account in ACCOUNTS)
# Open sessions of one account. clickhouse-connect opens one for each client and leaves it to its timeout.
MAX_SESSIONS = 100


class Authenticator:
    """Checks names and passwords in constant time, so that the response time reveals neither."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._accounts = {account.name: account for account in ACCOUNTS}
        self._digests = {name: _digest(password) for name, password in passwords.items()}
        # An unknown name is compared with this, so that it takes as long as a wrong password.
        self._nobody = secrets.token_bytes(32)

    def authenticate(self, credentials: tuple[str, str] | None) -> Account:
        """Return the account for a (name, password) pair.

        Raises:
            QueryError: there are no credentials, the name is unknown, or the password is wrong. The message
                is the same for the last two.
        """
        if credentials is None:
            raise query_error(
                ErrorCode.REQUIRED_PASSWORD,
                "Authentication failed: give a user and password (Basic, or X-ClickHouse-User and -Key).",
            )
        name, password = credentials
        matches = hmac.compare_digest(self._digests.get(name, self._nobody), _digest(password))
        account = self._accounts.get(name)
        if account is None or not matches:
            raise QueryError(
                ErrorCode.AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )
        return account


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode(errors="surrogateescape")).digest()
