"""The warehouse, and a new one that has only its present rows and never held anything else."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import IOBase
from pathlib import Path
from tempfile import TemporaryDirectory

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from dataflix_common.locks import LockHeldError, exclusive_lock
from dataflix_ops.erasure_certificate.errors import CertificateError
from dataflix_stack.paths import ROOT

_TABLES = (
    *("users", "movies", "watched_movies", "ratings", "feedback"),
    *("interactions", "event_kinds", "item_attributes"),
)
# What the trainer reads; dbt builds these and all that they are made of.
_TRAINED_ON = (
    "user_item_matrix",
    "dim_movies",
    "ratings_aggregated",
    "trending_movies",
    "confidence_weights",
    "data_source",
)
_PREFIX = "certificate-"
_PASSWORDS = {
    role: f"DATAFLIX_CLICKHOUSE_{role}_PASSWORD" for role in ("ADMIN", "ELT", "DBT", "TRAINER", "READER")
}
# ClickHouse's engine takes seconds to start, and a minute on a busy machine.
_START_S = 120
_STOP_S = 30
_POLL_S = 0.2
_CHUNK_BYTES = 1 << 20
# Reading a large table takes time.
_READ_S = 3600


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A running ClickHouse with the project's databases.

    Attributes:
        host: where it listens.
        port: of its HTTP interface.
        environ: the variables with the passwords of its users.
    """

    host: str
    port: int
    environ: Mapping[str, str]

    def client(self) -> Client:
        """Connect as dataflix_admin.

        Raises:
            CertificateError: ClickHouse can't be used.
        """
        try:
            return clickhouse_connect.get_client(
                host=self.host,
                port=self.port,
                username="dataflix_admin",
                password=self.environ[_PASSWORDS["ADMIN"]],
                autogenerate_session_id=False,
                send_receive_timeout=_READ_S,
            )
        except ClickHouseError:
            raise CertificateError(
                f"ClickHouse at {self.host}:{self.port} can't be used; ./run.sh status shows it."
            ) from None

    def process_environ(self) -> dict[str, str]:
        """Return the environment for a program that uses this warehouse and no other."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")}
        return inherited | {
            **self.environ,
            "DATAFLIX_CLICKHOUSE_HOST": self.host,
            "DATAFLIX_CLICKHOUSE_PORT": str(self.port),
        }


Fill = Callable[[Warehouse], None]


@contextmanager
def reference_warehouse(fill: Fill, parent: Path) -> Iterator[Warehouse]:
    """Run a new ClickHouse, fill its `raw`, build it with dbt, and remove it at the end.

    Args:
        fill: adds the rows.
        parent: the folder for its files, while this runs.

    Raises:
        CertificateError: it did not start, or could not be filled or built.
    """
    with _alone(parent), TemporaryDirectory(prefix=_PREFIX, dir=parent) as name:
        folder = Path(name)
        with _running(folder) as warehouse:
            fill(warehouse)
            _build(warehouse, folder)
            yield warehouse


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Keep other commands away, and remove what a killed one has left: it holds rows of people."""
    try:
        with exclusive_lock(parent / "certificate.lock"):
            for left in parent.glob(f"{_PREFIX}*"):
                shutil.rmtree(left)
            yield
    except LockHeldError:
        raise CertificateError("Another certificate is being issued. Try again when it is done.") from None


def user_ids(client: Client) -> set[int]:
    """Return the ids of users in all tables of `raw` and `analytics`, in replaced versions and deletions too.

    Raises:
        CertificateError: ClickHouse failed.
    """
    with _translated_errors():
        tables = client.query(
            "SELECT c.database || '.`' || c.table || '`' FROM system.columns AS c"
            " INNER JOIN system.tables AS t ON c.database = t.database AND c.table = t.name"
            " WHERE c.database IN ('raw', 'analytics') AND c.name = 'user_id'"
            " AND endsWith(t.engine, 'MergeTree')"
        ).result_rows
        found: set[int] = set()
        for (table,) in tables:
            rows = client.query(f"SELECT DISTINCT user_id FROM {table} WHERE user_id IS NOT NULL").result_rows
            found.update(int(row[0]) for row in rows)
    return found


def raw_state(client: Client) -> set[str]:
    """Return the folders of the active parts of `raw`'s tables: the same as long as nobody writes to them.

    Not their names alone: a full load puts another table in the place of one, with parts of the same names.

    Raises:
        CertificateError: ClickHouse failed.
    """
    with _translated_errors():
        rows = client.query(
            f"SELECT path FROM system.parts WHERE database = 'raw' AND active AND table IN {_TABLES}"
        ).result_rows
    return {str(path) for (path,) in rows}


def version(client: Client) -> str:
    """Return the server's version."""
    return str(client.server_version)


@contextmanager
def _running(folder: Path) -> Iterator[Warehouse]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environ = {name: secrets.token_hex(16) for name in _PASSWORDS.values()}
    warehouse = Warehouse("127.0.0.1", port, environ)
    setpriv = shutil.which("setpriv")
    command = [
        # It must not go on with the rows of people when this process is killed.
        *((setpriv, "--pdeathsig", "TERM") if setpriv else ()),
        *(str(ROOT / ".venv" / "bin" / "dataflix-clickhouse"), "serve", "--path", str(folder / "data")),
        *("--host", "127.0.0.1", "--port", str(port), "--init", str(ROOT / "clickhouse" / "init")),
    ]
    log = folder / "clickhouse.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=warehouse.process_environ(), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_ready(process, warehouse, log)
        yield warehouse
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", warehouse: Warehouse, log: Path) -> None:
    def is_starting() -> bool:
        if process.poll() is not None:
            return False
        try:
            warehouse.client().close()
        except CertificateError:
            return True
        return False

    still_starting = Retrying(
        retry=retry_if_result(bool),
        wait=wait_fixed(_POLL_S),
        stop=stop_after_delay(_START_S),
        retry_error_callback=lambda _: True,
    )(is_starting)
    if still_starting or process.poll() is not None:
        raise CertificateError(f"The new ClickHouse did not start: {_end(log.read_text(errors='replace'))}")


def copy_rows(source: Client, reference: Warehouse) -> None:
    """Add the present rows of one warehouse's `raw` to another's.

    Replaced versions of rows, deletions and everything that was built of them stay behind.

    Raises:
        CertificateError: ClickHouse failed.
    """
    target = reference.client()
    with _translated_errors():
        statements = {table: f"SELECT * FROM raw.{table} FINAL WHERE _is_deleted = 0" for table in _TABLES}
        # It says which database the rows come from, and a model has that.
        statements["load_audit"] = "SELECT * FROM raw.load_audit"
        for table, statement in statements.items():
            with source.raw_stream(statement, fmt="Native") as rows:
                target.raw_insert(f"raw.{table}", insert_block=_chunks(rows), fmt="Native")


def _chunks(stream: IOBase) -> Generator[bytes, None, None]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _build(warehouse: Warehouse, folder: Path) -> None:
    dbt, project = ROOT / "airflow" / ".venv" / "bin" / "dbt", ROOT / "dbt"
    if not dbt.exists():
        raise CertificateError(f"{dbt} is missing: run scripts/environments.sh airflow")
    result = subprocess.run(
        [
            *(str(dbt), "--no-use-colors", "run", "--select", *(f"+{model}" for model in _TRAINED_ON)),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
        ],
        env=warehouse.process_environ()
        | {
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise CertificateError(
            f"dbt could not build the new warehouse: {_end(result.stdout + result.stderr)}"
        )


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise CertificateError(f"ClickHouse failed: {str(error).splitlines()[0]}") from None


def _end(text: str) -> str:
    return " ".join(text.split())[-1000:] or "it printed nothing"
