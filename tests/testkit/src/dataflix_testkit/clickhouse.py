"""The embedded ClickHouse server with the databases of the project."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from dataflix_testkit.process import CORE_BIN, ROOT, clean_environ, free_port, random_password, server_process

_PASSWORD_VARIABLES = {
    "dataflix_admin": "DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD",
    "elt_writer": "DATAFLIX_CLICKHOUSE_ELT_PASSWORD",
    "dbt": "DATAFLIX_CLICKHOUSE_DBT_PASSWORD",
    "trainer": "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD",
    "reader": "DATAFLIX_CLICKHOUSE_READER_PASSWORD",
}


@dataclass(frozen=True)
class ClickHouseServer:
    """A running server."""

    host: str
    port: int
    environ: dict[str, str]
    pid: int

    def client(self, user: str, **options: Any) -> Any:
        """Return a clickhouse-connect client for one of the project's accounts."""
        import clickhouse_connect

        password = self.environ[_PASSWORD_VARIABLES[user]]
        return clickhouse_connect.get_client(
            host=self.host, port=self.port, username=user, password=password, **options
        )


@contextmanager
def clickhouse(data: Path | None = None) -> Iterator[ClickHouseServer]:
    """Run the server on the folder `data` (by default a temporary one) with the SQL of `clickhouse/init`."""
    with tempfile.TemporaryDirectory(prefix="dataflix-ch-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        environ = {variable: random_password() for variable in _PASSWORD_VARIABLES.values()}
        environ |= {"DATAFLIX_CLICKHOUSE_HOST": "127.0.0.1", "DATAFLIX_CLICKHOUSE_PORT": str(port)}

        def ready() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        command = [
            *(str(CORE_BIN / "dataflix-clickhouse"), "serve", "--path", str(data or Path(folder) / "data")),
            *("--host", "127.0.0.1", "--port", str(port), "--init", str(ROOT / "clickhouse" / "init")),
        ]
        with server_process(
            command, ready=ready, log=Path(folder) / "clickhouse.log", environ=clean_environ(environ)
        ) as process:
            yield ClickHouseServer("127.0.0.1", port, environ, process.pid)
