"""Every variable of `.env`: what it is for, what it must look like, where its first value comes from."""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

_SECRET = re.compile(r"[A-Za-z0-9_=-]{16,}")
_HEX_KEY = re.compile(r"[0-9a-f]{64}")
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_HOST = re.compile(r"[A-Za-z0-9.:-]+")
_NAME = re.compile(r"[a-z][a-z0-9_-]{1,61}[a-z0-9]")

_DAYS = re.compile(r"[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650")
_RATE = re.compile(r"[0-9]{1,8}")
_ORIGIN = r"https?://[a-z0-9.-]+(:[0-9]{1,5})?"
_ORIGINS = re.compile(rf"none|{_ORIGIN}(,{_ORIGIN})*")

_MAX_PORT = 65535


@dataclass(frozen=True)
class Variable:
    """One line of `.env`.

    Attributes:
        first_value: makes the value of the first run; None for one that may be absent.
        problem: says what is wrong with a value, or None when nothing is.
        example: what `.env.example` shows; empty for a secret, which has no default.
    """

    name: str
    comment: str
    first_value: Callable[[], str] | None
    problem: Callable[[str], str | None]
    example: str = ""

    @property
    def is_port(self) -> bool:
        """Whether a service listens on this."""
        return self.name.endswith("_PORT")


def _must_match(pattern: re.Pattern[str], what: str) -> Callable[[str], str | None]:
    return lambda value: None if pattern.fullmatch(value) else f"must be {what}"


def _port_problem(value: str) -> str | None:
    if value.isdecimal() and 1 <= int(value) <= _MAX_PORT:
        return None
    return f"must be a port, a whole number from 1 to {_MAX_PORT}"


def _host(name: str, what: str) -> Variable:
    check = _must_match(_HOST, "a host name or an address")
    return Variable(name, f"Where {what} listens and is reached", lambda: "127.0.0.1", check, "127.0.0.1")


def _port(name: str, number: int, what: str) -> Variable:
    return Variable(name, f"Port of {what}", lambda: str(number), _port_problem, str(number))


def _secret(name: str, what: str) -> Variable:
    # 128 random bits; letters and digits only, so that it fits into a URL as it is.
    check = _must_match(_SECRET, "16 or more of A-Z, a-z, 0-9, '_', '-' and '='")
    return Variable(name, what, lambda: secrets.token_hex(16), check)


def _name(name: str, value: str, what: str) -> Variable:
    check = _must_match(_NAME, "a name of 3 to 63 of a-z, 0-9, '_' and '-'")
    return Variable(name, what, lambda: value, check, value)


def _rate(name: str, value: str, whose: str) -> Variable:
    check = _must_match(_RATE, "a whole number with at most 8 digits")
    comment = f"How often {whose} may ask in a minute; 0 for no limit"
    return Variable(name, comment, lambda: value, check, value)


VARIABLES: tuple[Variable, ...] = (
    _host("DATAFLIX_POSTGRES_HOST", "Postgres"),
    _port("DATAFLIX_POSTGRES_PORT", 5432, "Postgres"),
    _name("DATAFLIX_POSTGRES_DB", "dataflix", "The application's database"),
    _secret("DATAFLIX_POSTGRES_ADMIN_PASSWORD", "Role postgres: start-up only"),
    _secret("DATAFLIX_POSTGRES_BACKEND_PASSWORD", "Role dataflix_backend: the API"),
    _secret("DATAFLIX_POSTGRES_ELT_PASSWORD", "Role elt_reader: the masked views and nothing else"),
    _secret("DATAFLIX_POSTGRES_AIRFLOW_PASSWORD", "Role airflow: Airflow's metadata"),
    _secret("DATAFLIX_POSTGRES_MLFLOW_PASSWORD", "Role mlflow: MLflow's metadata"),
    _secret("DATAFLIX_POSTGRES_SUPERSET_PASSWORD", "Role superset: Superset's metadata"),
    Variable(
        "DATAFLIX_PII_KEY",
        "HMAC key of the pseudonyms; whoever has it can test guesses against the warehouse",
        lambda: secrets.token_hex(32),
        _must_match(_HEX_KEY, "64 hexadecimal digits (0-9, a-f)"),
    ),
    _host("DATAFLIX_CLICKHOUSE_HOST", "ClickHouse"),
    _port("DATAFLIX_CLICKHOUSE_PORT", 8123, "ClickHouse's HTTP interface"),
    _secret("DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD", "User dataflix_admin"),
    _secret("DATAFLIX_CLICKHOUSE_ELT_PASSWORD", "User elt_writer: writes raw"),
    _secret("DATAFLIX_CLICKHOUSE_DBT_PASSWORD", "User dbt: reads raw, writes analytics"),
    _secret("DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD", "User trainer: reads analytics, writes recommendations"),
    _secret("DATAFLIX_CLICKHOUSE_READER_PASSWORD", "User reader: reads analytics"),
    _host("DATAFLIX_S3_HOST", "S3"),
    _port("DATAFLIX_S3_PORT", 9000, "S3"),
    _port("DATAFLIX_S3_CONSOLE_PORT", 9003, "MinIO's console (Docker only)"),
    _secret("DATAFLIX_S3_ACCESS_KEY", "S3 access key"),
    _secret("DATAFLIX_S3_SECRET_KEY", "S3 secret key"),
    _name("DATAFLIX_S3_BUCKET", "dataflix", "Bucket of the model artifacts"),
    _host("DATAFLIX_MLFLOW_HOST", "MLflow"),
    _port("DATAFLIX_MLFLOW_PORT", 5003, "MLflow"),
    _name("DATAFLIX_MODEL_NAME", "dataflix-als", "Name of the model in MLflow's registry"),
    _host("DATAFLIX_AIRFLOW_HOST", "Airflow"),
    _port("DATAFLIX_AIRFLOW_PORT", 8080, "Airflow"),
    _secret("DATAFLIX_AIRFLOW_ADMIN_PASSWORD", "Airflow's user admin"),
    _secret("DATAFLIX_AIRFLOW_JWT_SECRET", "Signs what Airflow's parts say to each other"),
    _secret("DATAFLIX_AIRFLOW_API_SECRET", "Signs the sessions of Airflow's pages"),
    Variable(
        "DATAFLIX_AIRFLOW_FERNET_KEY",
        "Encrypts what Airflow stores",
        lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        _must_match(_FERNET_KEY, "32 bytes in URL-safe base64 (44 characters)"),
    ),
    _host("DATAFLIX_TRAINER_HOST", "the trainer's job API"),
    _port("DATAFLIX_TRAINER_PORT", 5001, "the trainer's job API"),
    _secret("DATAFLIX_TRAINER_TOKEN", "Bearer token of the trainer's job API"),
    Variable(
        "DATAFLIX_RETENTION_DAYS",
        "For how many days older models, exported lists and backups stay",
        # The month within which the law (GDPR, article 12) wants an erasure answered.
        lambda: "30",
        _must_match(_DAYS, "a number of days from 1 to 3650"),
        "30",
    ),
    _host("DATAFLIX_BACKEND_HOST", "the API"),
    _port("DATAFLIX_BACKEND_PORT", 5002, "the API"),
    _secret("DATAFLIX_API_KEY", "The API's first key, an administrator's: what clients send as X-API-Key"),
    _rate("DATAFLIX_BACKEND_RATE_LIMIT", "600", "a key"),
    _rate("DATAFLIX_BACKEND_ADMIN_RATE_LIMIT", "0", "an administrator's key"),
    Variable(
        "DATAFLIX_BACKEND_CORS_ORIGINS",
        "Origins whose pages may ask the API, separated by commas; or none",
        lambda: "none",
        _must_match(_ORIGINS, "'none', or origins like https://films.example separated by commas"),
        "none",
    ),
    _host("DATAFLIX_SUPERSET_HOST", "Superset"),
    _port("DATAFLIX_SUPERSET_PORT", 8088, "Superset"),
    _secret("DATAFLIX_SUPERSET_ADMIN_PASSWORD", "Superset's user admin"),
    _secret("DATAFLIX_SUPERSET_SECRET_KEY", "Encrypts the passwords that Superset stores"),
)

# An older `.env` gets these added. Only what no data depend on yet may stand here: elsewhere a lost secret
# must be an error, never a new secret.
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
    }
)
