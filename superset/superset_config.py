"""Superset's settings, from the DATAFLIX_ variables of the environment.

Superset imports this module at its start from the folder in PYTHONPATH and uses every name in capitals. A
missing or invalid variable stops the start with a message that names it.
"""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

_MAX_PORT = 65535

# Superset encrypts passwords and signs sessions with the key; a shorter key can be guessed.
_MIN_SECRET_LENGTH = 16


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"{name} is not set; ./run.sh writes it to .env and passes it on.")
    return value


def _port(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not (value.isdecimal() and 1 <= int(value) <= _MAX_PORT):
        raise SystemExit(f"{name} must be a port from 1 to {_MAX_PORT}, not {value!r}.")
    return int(value)


def _secret_key() -> str:
    value = _required("DATAFLIX_SUPERSET_SECRET_KEY")
    if len(value) < _MIN_SECRET_LENGTH:
        raise SystemExit(f"DATAFLIX_SUPERSET_SECRET_KEY must have {_MIN_SECRET_LENGTH} characters or more.")
    return value


def _metadata_uri() -> str:
    password = quote(_required("DATAFLIX_POSTGRES_SUPERSET_PASSWORD"), safe="")
    host, port = _host("DATAFLIX_POSTGRES_HOST"), _port("DATAFLIX_POSTGRES_PORT", 5432)
    return f"postgresql+psycopg2://superset:{password}@{host}:{port}/superset"


def _host(name: str) -> str:
    value = os.environ.get(name) or "127.0.0.1"
    # Errors about an address that can't be read show all of it, the password too.
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", value):
        raise SystemExit(f"{name} must be the name or address of a host, not {value!r}.")
    return f"[{value}]" if ":" in value else value


def _seconds(**duration: float) -> int:
    return int(timedelta(**duration).total_seconds())


_HOME = Path(_required("DATAFLIX_HOME")) / "superset"

# --- Name and storage ---
APP_NAME = "Dataflix"
SECRET_KEY = _secret_key()
SQLALCHEMY_DATABASE_URI = _metadata_uri()
# After a restart of Postgres, users get a new connection instead of an error page.
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}
# Instead of a folder in the user's home.
DATA_DIR = str(_HOME)
# Without this, a migration replaces the log settings of its process.
ALEMBIC_SKIP_LOG_CONFIG = True
LOG_FORMAT = "time=%(asctime)s level=%(levelname)s logger=%(name)s message=%(message)s"

# --- Access: nobody sees anything without a log-in ---
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
PERMANENT_SESSION_LIFETIME = timedelta(days=1)
# superset_login_limit.py limits wrong passwords; Superset's own limit never answers 429.
RATELIMIT_ENABLED = False
AUTH_RATE_LIMITED = False

# --- Security headers: the browser may only talk to this server (no map tiles, fonts or usage pixels) ---
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'self'"],
        "form-action": ["'self'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # The server listens on 127.0.0.1 with plain HTTP. Turn these on behind TLS.
    "force_https": False,
    "session_cookie_secure": False,
}
ENABLE_CORS = False
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []

# --- What people can do ---
FEATURE_FLAGS = {
    "DASHBOARD_VIRTUALIZATION": False,
    "DRILL_BY": True,
    "DRILL_TO_DETAIL": True,
    "ALERT_REPORTS": False,
    "EMBEDDED_SUPERSET": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "ESCAPE_MARKDOWN_HTML": True,
}
ROW_LIMIT = 5_000
SAMPLES_ROW_LIMIT = 1_000
NATIVE_FILTER_DEFAULT_ROW_LIMIT = 1_000
FILTER_SELECT_ROW_LIMIT = 1_000
DEFAULT_SQLLAB_LIMIT = 1_000
DISPLAY_MAX_ROW = 10_000
# The most rows that a query may load into the server's memory.
SQL_MAX_ROW = 50_000
TABLE_VIZ_MAX_ROW_SERVER = 50_000
# A dashboard query that takes longer is a mistake. gunicorn has the same timeout.
SUPERSET_WEBSERVER_TIMEOUT = _seconds(minutes=1)
SQLLAB_TIMEOUT = _seconds(seconds=30)


def SQLGLOT_DIALECTS_EXTENSIONS() -> dict[str, Any]:  # noqa: N802  the name is Superset's
    """Make sqlglot quote ClickHouse names with backticks.

    Superset quotes a column with the driver's backticks and then parses and writes it with sqlglot, which
    uses double quotes. It then does not find the calculated column, and the details of a chart fail.
    """
    from sqlglot.dialects.clickhouse import ClickHouse  # noqa: PLC0415  the set-up does not need it

    class BacktickedClickHouse(ClickHouse):
        class Tokenizer(ClickHouse.Tokenizer):
            # sqlglot writes the first one.
            IDENTIFIERS = ["`", '"']  # noqa: RUF012  like in sqlglot

    return {"clickhousedb": BacktickedClickHouse}


# --- Caches, only in the memory of the one server process: the text of a query has people's filters ---
_MEMORY_CACHE = {"CACHE_TYPE": "SimpleCache"}
CACHE_CONFIG = _MEMORY_CACHE | {"CACHE_THRESHOLD": 500, "CACHE_DEFAULT_TIMEOUT": _seconds(minutes=5)}
# Ten people on a dashboard share one query, and nobody sees numbers older than a minute. 100 entries are
# enough for two dashboards with some filters; the largest answer takes a few MB.
DATA_CACHE_CONFIG = _MEMORY_CACHE | {"CACHE_THRESHOLD": 100, "CACHE_DEFAULT_TIMEOUT": _seconds(minutes=1)}
# Choices that were not saved. Superset's default keeps them in its metadata for months.
FILTER_STATE_CACHE_CONFIG = _MEMORY_CACHE | {
    "CACHE_THRESHOLD": 1_000,
    "CACHE_DEFAULT_TIMEOUT": _seconds(days=1),
    "REFRESH_TIMEOUT_ON_RETRIEVAL": True,
}
EXPLORE_FORM_DATA_CACHE_CONFIG = FILTER_STATE_CACHE_CONFIG


def FLASK_APP_MUTATOR(app: Any) -> None:  # noqa: N802  the name is Superset's
    """Change the new application where settings do not reach: see the modules below."""
    # They import Superset, which is importing this file. The type checker does not see this folder.
    import superset_dates  # type: ignore[import-not-found]  # noqa: PLC0415
    import superset_login_limit  # type: ignore[import-not-found]  # noqa: PLC0415
    import superset_privacy  # type: ignore[import-not-found]  # noqa: PLC0415

    superset_privacy.install(app)
    superset_login_limit.install(app)
    superset_dates.install(app)


# --- No queue: nothing runs in the background ---
CELERY_CONFIG = None
