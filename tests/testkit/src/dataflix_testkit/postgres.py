"""A real Postgres server with the schema of the project."""

import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import psycopg2

from dataflix_stack.services import postgres as cluster
from dataflix_testkit.process import clean_environ, free_port, random_password, server_process

_PASSWORD_VARIABLES = {
    "postgres": "DATAFLIX_POSTGRES_ADMIN_PASSWORD",
    "dataflix_backend": "DATAFLIX_POSTGRES_BACKEND_PASSWORD",
    "elt_reader": "DATAFLIX_POSTGRES_ELT_PASSWORD",
    "dataflix_copier": "DATAFLIX_POSTGRES_COPIER_PASSWORD",
    "airflow": "DATAFLIX_POSTGRES_AIRFLOW_PASSWORD",
    "mlflow": "DATAFLIX_POSTGRES_MLFLOW_PASSWORD",
    "superset": "DATAFLIX_POSTGRES_SUPERSET_PASSWORD",
}

# The cluster of a test does not have to survive a power failure.
CLUSTER_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Prepared transactions are off by default, but the ELT must work with them.
CLUSTER_SETTINGS |= {"max_prepared_transactions": "10"}
# Each application that a test makes keeps a few connections until the tests end.
CLUSTER_SETTINGS |= {"max_connections": "500"}


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    host: str
    port: int
    dbname: str
    environ: dict[str, str]
    data: Path

    def dsn(self, role: str, dbname: str | None = None) -> str:
        """Return the libpq URI for one of the project's roles."""
        password = quote(self.environ[_PASSWORD_VARIABLES[role]], safe="")
        return f"postgresql://{role}:{password}@{self.host}:{self.port}/{dbname or self.dbname}"


def cluster_settings(port: int) -> dict[str, str]:
    """Return the settings of a new cluster, with new secrets."""
    environ = {variable: random_password() for variable in _PASSWORD_VARIABLES.values()}
    return environ | {
        "DATAFLIX_POSTGRES_HOST": "127.0.0.1",
        "DATAFLIX_POSTGRES_PORT": str(port),
        "DATAFLIX_POSTGRES_DB": "dataflix",
        "DATAFLIX_PII_KEY": random_password() + random_password(),
    }


@contextmanager
def postgres(
    *, initialise: bool = True, extra_environ: Mapping[str, str] = MappingProxyType({})
) -> Iterator[PostgresServer]:
    """Run a new cluster.

    Args:
        initialise: whether to run `postgres/init/*.sql`.
        extra_environ: variables to add to the environment of the server process.
    """
    with tempfile.TemporaryDirectory(prefix="dataflix-pg-", ignore_cleanup_errors=True) as folder:
        data, port = Path(folder) / "data", free_port()
        environ = cluster_settings(port)
        server = PostgresServer("127.0.0.1", port, "dataflix", environ, data)
        admin_password = environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"]
        cluster.create_cluster(data, admin_password)

        def ready() -> bool:
            try:
                psycopg2.connect(server.dsn("postgres", "postgres"), connect_timeout=2).close()
            except psycopg2.OperationalError:
                return False
            return True

        with server_process(
            cluster.server_command(data, "127.0.0.1", port, CLUSTER_SETTINGS),
            ready=ready,
            log=Path(folder) / "postgres.log",
            environ=clean_environ(extra_environ),
            stop_signal=signal.SIGINT,
        ):
            if initialise:
                cluster.apply_init(
                    host=server.host, port=port, dbname="dataflix", password=admin_password, environ=environ
                )
            yield server
