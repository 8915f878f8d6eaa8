"""A real MLflow server that stores its artifacts in S3."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from dataflix_testkit.process import CORE_BIN, clean_environ, free_port, server_process
from dataflix_testkit.s3 import S3Server


@dataclass(frozen=True)
class MlflowServer:
    """A running server."""

    tracking_uri: str
    environ: dict[str, str]


@contextmanager
def mlflow(storage: S3Server) -> Iterator[MlflowServer]:
    """Run the server with an empty registry."""
    with tempfile.TemporaryDirectory(prefix="dataflix-mlflow-", ignore_cleanup_errors=True) as folder:
        port = free_port()

        def ready() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        command = [
            *(
                str(CORE_BIN / "mlflow"),
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "1",
            ),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", f"s3://{storage.bucket}/mlflow"),
        ]
        environ = clean_environ(
            {
                "PATH": f"{CORE_BIN}:/usr/bin:/bin",
                "AWS_ACCESS_KEY_ID": storage.environ["DATAFLIX_S3_ACCESS_KEY"],
                "AWS_SECRET_ACCESS_KEY": storage.environ["DATAFLIX_S3_SECRET_KEY"],
                "AWS_DEFAULT_REGION": "us-east-1",
                "MLFLOW_S3_ENDPOINT_URL": storage.endpoint_url,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true",
                # Its job queue would start eight more processes that do nothing.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            }
        )
        with server_process(command, ready=ready, log=Path(folder) / "mlflow.log", environ=environ):
            yield MlflowServer(
                f"http://127.0.0.1:{port}",
                {
                    "DATAFLIX_MLFLOW_HOST": "127.0.0.1",
                    "DATAFLIX_MLFLOW_PORT": str(port),
                    "DATAFLIX_MODEL_NAME": "dataflix-als",
                    "DATAFLIX_MODEL_PROMOTION_KEY": "5e" * 32,
                },
            )
