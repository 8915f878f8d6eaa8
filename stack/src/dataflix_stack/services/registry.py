"""The services of the stack: command, environment, port and health check of each."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from dataflix_stack.airflow.environment import airflow_environment
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.short_path import short_home
from dataflix_stack.paths import ROOT
from dataflix_stack.services import health, postgres, privileges

_CORE_BIN = ROOT / ".venv" / "bin"
COPY_SERVICE = "source-copy"
SOURCE_PROGRAM = _CORE_BIN / "dataflix-source"
_AIRFLOW_BIN = ROOT / "airflow" / ".venv" / "bin"

# The stack guards personal data, so none of its programs may report its use to others.
_NO_TELEMETRY = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True)
class Service:
    """A program that the supervisor runs.

    Attributes:
        name: name in supervisord, in logs and in docker-compose.yml.
        command: returns the command line.
        environ: returns the environment.
        healthy: returns whether the service works; may raise OSError or the client's error if unreachable.
        port_of: the part between DATAFLIX_ and _PORT of its port's variable; None if it has no port.
        start_timeout_s: how long its first start may take.
        stop_signal: the signal that ends it.
        signal_group: whether the stop signal goes to the whole process group.
        in_background: whether ./run.sh returns before the service is healthy.
        wanted: whether these settings have a use for it.
        hopeless: returns why a start would be waited for in vain; None while it may succeed.
    """

    name: str
    command: Callable[[Settings], list[str]]
    environ: Callable[[Settings], dict[str, str]]
    healthy: Callable[[Settings], bool]
    port_of: str | None = None
    start_timeout_s: int = 180
    stop_signal: str = "TERM"
    signal_group: bool = True
    in_background: bool = False
    wanted: Callable[[Settings], bool] = lambda _: True
    hopeless: Callable[[Settings], str | None] = lambda _: None


def base_environ(settings: Settings, *prefixes: str) -> dict[str, str]:
    """Return the variables that all programs get, and the DATAFLIX_ variables with one of the prefixes."""
    chosen = {
        name: value
        for name, value in settings.values.items()
        if name.removeprefix("DATAFLIX_").startswith(prefixes)
    }
    return {
        "PATH": f"{_CORE_BIN}:{os.environ.get('PATH', os.defpath)}",
        "HOME": os.environ.get("HOME", str(settings.home)),
        "LANG": "C.UTF-8",
        # Short, for programs put Unix sockets there.
        "TMPDIR": str(short_home(settings.home) / "tmp"),
        "DATAFLIX_HOME": str(settings.home),
        # Programs that show their work as their name would write it over their environment, which
        # leftovers.py reads.
        "SPT_NOENV": "1",
        **_NO_TELEMETRY,
        **chosen,
    }


def mlflow_environ(settings: Settings) -> dict[str, str]:
    """Return MLflow's environment: passwords are passed here, since arguments are visible to all users."""
    user, password = "mlflow", quote(settings["POSTGRES_MLFLOW_PASSWORD"], safe="")
    address = f"{settings['POSTGRES_HOST']}:{settings['POSTGRES_PORT']}"
    return base_environ(settings) | {
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://{user}:{password}@{address}/mlflow",
        "MLFLOW_S3_ENDPOINT_URL": settings.url("S3"),
        "AWS_ACCESS_KEY_ID": settings["S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": settings["S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": "us-east-1",
        # The job queue evaluates language models; without them it is three idle processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def has_source(settings: Settings) -> bool:
    """Return whether the data are those of another application's database."""
    return bool(settings.values.get("DATAFLIX_SOURCE_FILE"))


def source_environ(settings: Settings) -> dict[str, str]:
    """Return the environment of `dataflix-source`; no other program gets the source's password."""
    return base_environ(
        settings, "SOURCE_", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_COPIER_"
    )


def superset_environ(settings: Settings) -> dict[str, str]:
    """Return the environment of Superset's installation, set-up and server."""
    # It installs its own environment, so it needs the user's settings of Python and of the package index.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
    chosen = base_environ(
        settings,
        *("SUPERSET_", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_SUPERSET_"),
        *("CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_READER_"),
    )
    return inherited | chosen


def _mlflow_command(settings: Settings) -> list[str]:
    host, port = settings["MLFLOW_HOST"], settings["MLFLOW_PORT"]
    destination = f"s3://{settings['S3_BUCKET']}/mlflow"
    return [
        *(str(_CORE_BIN / "mlflow"), "server", "--host", host, "--port", port, "--workers", "1"),
        *("--artifacts-destination", destination),
    ]


def _s3_command(settings: Settings) -> list[str]:
    address = f"{settings['S3_HOST']}:{settings['S3_PORT']}"
    config = ("--config", str(settings.home / "run" / "rclone.conf"))
    return [str(_CORE_BIN / "rclone"), "serve", "s3", str(settings.home / "s3"), "--addr", address, *config]


def _s3_environ(settings: Settings) -> dict[str, str]:
    # rclone reads a list as CSV; the quotes keep key and secret together.
    pair = f'"{settings["S3_ACCESS_KEY"]},{settings["S3_SECRET_KEY"]}"'
    return base_environ(settings) | {"RCLONE_AUTH_KEY": pair}


def _clickhouse_command(settings: Settings) -> list[str]:
    data = settings.home / "clickhouse"
    command = [
        *(str(_CORE_BIN / "dataflix-clickhouse"), "serve", "--path", str(data)),
        *("--init", str(ROOT / "clickhouse" / "init")),
    ]
    return privileges.without_capabilities(command, data)


def _core_command(*command: str) -> Callable[[Settings], list[str]]:
    return lambda _: [str(_CORE_BIN / command[0]), *command[1:]]


def _airflow_command(*command: str) -> Callable[[Settings], list[str]]:
    return lambda _: [str(_AIRFLOW_BIN / "airflow"), *command]


def _airflow_api_command(settings: Settings) -> list[str]:
    address = ("--host", settings["AIRFLOW_HOST"], "--port", settings["AIRFLOW_PORT"])
    return [str(_AIRFLOW_BIN / "airflow"), "api-server", *address]


def _environ_with(*prefixes: str) -> Callable[[Settings], dict[str, str]]:
    return lambda settings: base_environ(settings, *prefixes)


def airflow_service_environ(settings: Settings) -> dict[str, str]:
    """Return the environment of Airflow's processes and of its command line."""
    environ: Mapping[str, str] = base_environ(settings) | settings.values
    return airflow_environment(environ, ROOT)


SERVICES: tuple[Service, ...] = (
    Service(
        name="postgres",
        command=lambda s: postgres.server_command(
            s.home / "postgres", s["POSTGRES_HOST"], s.port("POSTGRES")
        ),
        environ=_environ_with(),
        healthy=health.postgres,
        hopeless=health.postgres_refusal,
        port_of="POSTGRES",
        # SIGINT is the fast shutdown, which ends open sessions. Postgres signals its children itself.
        stop_signal="INT",
        signal_group=False,
    ),
    Service(
        name="clickhouse",
        command=_clickhouse_command,
        environ=_environ_with("CLICKHOUSE_"),
        healthy=lambda s: health.http_ok(s.url("CLICKHOUSE") + "/ping"),
        port_of="CLICKHOUSE",
    ),
    Service(
        name="s3",
        command=_s3_command,
        environ=_s3_environ,
        healthy=lambda s: health.denies_anonymous(s.url("S3") + "/"),
        port_of="S3",
    ),
    Service(
        name="mlflow",
        command=_mlflow_command,
        environ=mlflow_environ,
        healthy=lambda s: health.http_ok(s.url("MLFLOW") + "/health"),
        port_of="MLFLOW",
        start_timeout_s=300,
    ),
    Service(
        name="trainer",
        command=_core_command("trainer", "serve"),
        environ=_environ_with(
            *("TRAINER_", "MODEL_", "MLFLOW_", "S3_", "RETENTION_"),
            *("CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_TRAINER_"),
        ),
        healthy=lambda s: health.http_ok(s.url("TRAINER") + "/healthz"),
        port_of="TRAINER",
    ),
    Service(
        name="backend",
        command=_core_command("dataflix-backend", "serve"),
        environ=_environ_with(
            *("BACKEND_", "API_KEY", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_BACKEND_"),
        ),
        healthy=lambda s: health.http_ok(s.url("BACKEND") + "/readyz"),
        port_of="BACKEND",
    ),
    Service(
        name="model-sync",
        command=_core_command("dataflix-backend", "sync-model"),
        environ=_environ_with("MODEL_", "MLFLOW_"),
        healthy=lambda _: True,
    ),
    Service(
        name=COPY_SERVICE,
        command=lambda s: [
            *(str(SOURCE_PROGRAM), "follow", s["SOURCE_FILE"], "--every", s["SOURCE_COPY_SECONDS"])
        ],
        environ=source_environ,
        # Its process lives while copies fail; ./run.sh status says how the last one ended.
        healthy=lambda _: True,
        wanted=has_source,
    ),
    Service(
        name="airflow-api-server",
        command=lambda s: _airflow_command(
            "api-server", "--host", s["AIRFLOW_HOST"], "--port", s["AIRFLOW_PORT"]
        )(s),
        environ=airflow_service_environ,
        healthy=lambda s: health.http_ok(s.url("AIRFLOW") + "/api/v2/monitor/health"),
        port_of="AIRFLOW",
        start_timeout_s=300,
    ),
    Service(
        name="airflow-scheduler",
        # Its log server would listen on all addresses; the API server reads the log files instead.
        command=_airflow_command("scheduler", "--skip-serve-logs"),
        environ=airflow_service_environ,
        healthy=lambda s: health.airflow_process(s, "scheduler"),
        start_timeout_s=300,
    ),
    Service(
        name="airflow-dag-processor",
        command=_airflow_command("dag-processor"),
        environ=airflow_service_environ,
        healthy=lambda s: health.airflow_process(s, "dag_processor"),
        start_timeout_s=300,
    ),
    Service(
        name="superset",
        command=lambda _: [sys.executable, "-m", "dataflix_stack.services.superset"],
        environ=superset_environ,
        healthy=lambda s: health.http_ok(s.url("SUPERSET") + "/health"),
        port_of="SUPERSET",
        in_background=True,
    ),
)

BY_NAME = {service.name: service for service in SERVICES}


def wanted_services(settings: Settings) -> list[Service]:
    """Return the services that these settings have a use for."""
    return [service for service in SERVICES if service.wanted(settings)]
