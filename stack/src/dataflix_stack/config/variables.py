"""The variables of `.env`: the purpose, the check and the initial value of each."""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from dataflix_common import ports
from dataflix_common.argument_types import number_in
from dataflix_common.model_registry import DEFAULT_MODEL_NAME, PROMOTION_KEY_VARIABLE

_SECRET = re.compile(r"[A-Za-z0-9_=-]{16,}")
_HEX_KEY = re.compile(r"[0-9a-f]{64}")
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_HOST = re.compile(r"[A-Za-z0-9.:-]+")
_NAME = re.compile(r"[a-z][a-z0-9_-]{1,61}[a-z0-9]")

_DAYS = re.compile(r"[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650")
_RATE = re.compile(r"[0-9]{1,8}")
_ORIGIN = r"https?://[a-z0-9.-]+(:[0-9]{1,5})?"
_ORIGINS = re.compile(rf"none|{_ORIGIN}(,{_ORIGIN})*")


# Variables of another application's database. Their values are that application's.
_SOURCE = "DATAFLIX_SOURCE_"
_ONE_LINE = re.compile(r"[^\r\n\0]*")
_SSL_MODES = re.compile("|disable|prefer|require|verify-ca|verify-full")
# At most a day, which is how often everything is compared.
_SECONDS = re.compile(r"[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400")


@dataclass(frozen=True)
class Variable:
    """One line of `.env`.

    Attributes:
        name: the name, which begins with DATAFLIX_.
        comment: the line above it in `.env`.
        initial_value: makes the value on the first run; None for a variable that may be missing.
        problem: returns what is wrong with a value, or None.
        example: the value in `.env.example`; empty for a secret, which has no default.
        is_optional: whether it may be empty.
    """

    name: str
    comment: str
    initial_value: Callable[[], str] | None
    problem: Callable[[str], str | None]
    example: str = ""
    is_optional: bool = False

    @property
    def is_port(self) -> bool:
        """Whether a service of ours listens on this port."""
        return self.name.endswith("_PORT") and not self.name.startswith(_SOURCE)

    @property
    def is_secret(self) -> bool:
        """Whether its value must not be shown."""
        return not self.example and (not self.is_optional or self.name.endswith("_PASSWORD"))


def _must_match(pattern: re.Pattern[str], what: str) -> Callable[[str], str | None]:
    return lambda value: None if pattern.fullmatch(value) else f"must be {what}"


def _port_problem(value: str) -> str | None:
    if number_in(value, 1, ports.MAX_PORT) is not None:
        return None
    return f"must be a port, a whole number from 1 to {ports.MAX_PORT}"


def _host(name: str, what: str) -> Variable:
    check = _must_match(_HOST, "a host name or an address")
    return Variable(
        name, f"Where {what} listens and is reached", lambda: ports.DEFAULT_HOST, check, ports.DEFAULT_HOST
    )


def _port(name: str, number: int, what: str) -> Variable:
    return Variable(name, f"Port of {what}", lambda: str(number), _port_problem, str(number))


def _secret(name: str, what: str) -> Variable:
    # 128 random bits, written as letters and digits, so that a URL needs no escapes.
    check = _must_match(_SECRET, "16 or more of A-Z, a-z, 0-9, '_', '-' and '='")
    return Variable(name, what, lambda: secrets.token_hex(16), check)


def _name(name: str, value: str, what: str) -> Variable:
    check = _must_match(_NAME, "a name of 3 to 63 of a-z, 0-9, '_' and '-'")
    return Variable(name, what, lambda: value, check, value)


def _rate(name: str, value: str, whose: str) -> Variable:
    check = _must_match(_RATE, "a whole number with at most 8 digits")
    comment = f"Requests a minute for {whose}; 0 for no limit"
    return Variable(name, comment, lambda: value, check, value)


def _source(
    name: str, what: str, value: str = "", check: Callable[[str], str | None] | None = None
) -> Variable:
    check = check or _must_match(_ONE_LINE, "one line")
    return Variable(_SOURCE + name, what, lambda: value, check, value, is_optional=not value)


VARIABLES: tuple[Variable, ...] = (
    _host("DATAFLIX_POSTGRES_HOST", "Postgres"),
    _port("DATAFLIX_POSTGRES_PORT", ports.POSTGRES, "Postgres"),
    _name("DATAFLIX_POSTGRES_DB", "dataflix", "The application's database"),
    _secret("DATAFLIX_POSTGRES_ADMIN_PASSWORD", "Role postgres: start-up only"),
    _secret("DATAFLIX_POSTGRES_BACKEND_PASSWORD", "Role dataflix_backend: the API"),
    _secret("DATAFLIX_POSTGRES_ELT_PASSWORD", "Role elt_reader: the masked views and nothing else"),
    _secret("DATAFLIX_POSTGRES_COPIER_PASSWORD", "Role dataflix_copier: the copy of your own database"),
    _secret("DATAFLIX_POSTGRES_AIRFLOW_PASSWORD", "Role airflow: Airflow's metadata"),
    _secret("DATAFLIX_POSTGRES_MLFLOW_PASSWORD", "Role mlflow: MLflow's metadata"),
    _secret("DATAFLIX_POSTGRES_SUPERSET_PASSWORD", "Role superset: Superset's metadata"),
    Variable(
        "DATAFLIX_PII_KEY",
        "HMAC key of the pseudonyms; with it, guesses can be tested against the warehouse",
        lambda: secrets.token_hex(32),
        _must_match(_HEX_KEY, "64 hexadecimal digits (0-9, a-f)"),
    ),
    _host("DATAFLIX_CLICKHOUSE_HOST", "ClickHouse"),
    _port("DATAFLIX_CLICKHOUSE_PORT", ports.CLICKHOUSE, "ClickHouse's HTTP interface"),
    _secret("DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD", "User dataflix_admin"),
    _secret("DATAFLIX_CLICKHOUSE_ELT_PASSWORD", "User elt_writer: writes raw"),
    _secret("DATAFLIX_CLICKHOUSE_DBT_PASSWORD", "User dbt: reads raw, writes analytics"),
    _secret("DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD", "User trainer: reads analytics, writes recommendations"),
    _secret("DATAFLIX_CLICKHOUSE_READER_PASSWORD", "User reader: reads analytics"),
    _host("DATAFLIX_S3_HOST", "S3"),
    _port("DATAFLIX_S3_PORT", ports.S3, "S3"),
    _port("DATAFLIX_S3_CONSOLE_PORT", ports.S3_CONSOLE, "MinIO's console (Docker only)"),
    _secret("DATAFLIX_S3_ACCESS_KEY", "S3 access key"),
    _secret("DATAFLIX_S3_SECRET_KEY", "S3 secret key"),
    _name("DATAFLIX_S3_BUCKET", "dataflix", "Bucket of the model artifacts"),
    _host("DATAFLIX_MLFLOW_HOST", "MLflow"),
    _port("DATAFLIX_MLFLOW_PORT", ports.MLFLOW, "MLflow"),
    _name("DATAFLIX_MODEL_NAME", DEFAULT_MODEL_NAME, "Name of the model in MLflow's registry"),
    Variable(
        PROMOTION_KEY_VARIABLE,
        "Signs the promotion of a model; sync-model installs no champion without its signature",
        lambda: secrets.token_hex(32),
        _must_match(_HEX_KEY, "64 hexadecimal digits (0-9, a-f)"),
    ),
    _host("DATAFLIX_AIRFLOW_HOST", "Airflow"),
    _port("DATAFLIX_AIRFLOW_PORT", ports.AIRFLOW, "Airflow"),
    _secret("DATAFLIX_AIRFLOW_ADMIN_PASSWORD", "Airflow's user admin"),
    _secret("DATAFLIX_AIRFLOW_JWT_SECRET", "Signs the requests between Airflow's processes"),
    _secret("DATAFLIX_AIRFLOW_API_SECRET", "Signs the sessions of Airflow's pages"),
    Variable(
        "DATAFLIX_AIRFLOW_FERNET_KEY",
        "Encrypts secrets in Airflow's database",
        lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        _must_match(_FERNET_KEY, "32 bytes in URL-safe base64 (44 characters)"),
    ),
    _host("DATAFLIX_TRAINER_HOST", "the trainer's job API"),
    _port("DATAFLIX_TRAINER_PORT", ports.TRAINER, "the trainer's job API"),
    _secret("DATAFLIX_TRAINER_TOKEN", "Bearer token of the trainer's job API"),
    Variable(
        "DATAFLIX_RETENTION_DAYS",
        "Days until older models, exported lists and backups are deleted",
        # GDPR, article 12: a request for erasure must be answered within a month.
        lambda: "30",
        _must_match(_DAYS, "a number of days from 1 to 3650"),
        "30",
    ),
    _host("DATAFLIX_BACKEND_HOST", "the API"),
    _port("DATAFLIX_BACKEND_PORT", ports.BACKEND, "the API"),
    _secret("DATAFLIX_API_KEY", "The API's first key, of an administrator; clients send it as X-API-Key"),
    _rate("DATAFLIX_BACKEND_RATE_LIMIT", "600", "a key"),
    _rate("DATAFLIX_BACKEND_ADMIN_RATE_LIMIT", "0", "an administrator's key"),
    Variable(
        "DATAFLIX_BACKEND_CORS_ORIGINS",
        "Origins whose pages may call the API, separated by commas; or none",
        lambda: "none",
        _must_match(_ORIGINS, "'none', or origins like https://movies.example separated by commas"),
        "none",
    ),
    _host("DATAFLIX_SUPERSET_HOST", "Superset"),
    _port("DATAFLIX_SUPERSET_PORT", ports.SUPERSET, "Superset"),
    _secret("DATAFLIX_SUPERSET_ADMIN_PASSWORD", "Superset's user admin"),
    _secret("DATAFLIX_SUPERSET_SECRET_KEY", "Encrypts the passwords that Superset stores"),
    # docs/your-own-database.md
    _source("FILE", "Description of your own database, which ./run.sh --source FILE writes here; or empty"),
    _source("HOST", "Your own database: where it is"),
    _source("PORT", "Your own database: its port", str(ports.POSTGRES), _port_problem),
    _source("DB", "Your own database: its name"),
    _source("USER", "Your own database: the role that copies"),
    _source("PASSWORD", "Your own database: its password, in single quotes if it has signs like # or $"),
    _source(
        "SSLMODE",
        "Your own database: TLS; empty for verify-full on another machine, prefer on this one",
        check=_must_match(_SSL_MODES, "empty, disable, prefer, require, verify-ca or verify-full"),
    ),
    _source("SSLROOTCERT", "Your own database: file with who signed its certificate; empty for the system's"),
    _source(
        "COPY_SECONDS",
        "Your own database: seconds between two copies while the stack runs",
        "60",
        _must_match(_SECONDS, "a number of seconds from 1 to 86400"),
    ),
)

# Variables that ./run.sh adds to an older `.env`. No data may depend on them: for any other variable, a lost
# secret must be an error and never be replaced by a new one. After another promotion key, the installed model
# goes on serving and `trainer promote` signs again; earlier certificates are verified with their public key.
ADDED_LATER = frozenset(
    {
        "DATAFLIX_SUPERSET_HOST",
        "DATAFLIX_SUPERSET_PORT",
        "DATAFLIX_SUPERSET_ADMIN_PASSWORD",
        "DATAFLIX_SUPERSET_SECRET_KEY",
        "DATAFLIX_RETENTION_DAYS",
        "DATAFLIX_BACKEND_RATE_LIMIT",
        "DATAFLIX_BACKEND_ADMIN_RATE_LIMIT",
        "DATAFLIX_BACKEND_CORS_ORIGINS",
        PROMOTION_KEY_VARIABLE,
        "DATAFLIX_POSTGRES_COPIER_PASSWORD",
        *(variable.name for variable in VARIABLES if variable.name.startswith(_SOURCE)),
    }
)
