"""What each image has to do, with real services around it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dataflix_testkit import ClickHouseServer, PostgresServer, S3Server, clickhouse, free_port, postgres, s3
from image_proof.buildah import Container
from image_proof.errors import ProofError
from stack.variables import VARIABLES

# Where Compose lets our services write; everything else of their roots is read-only there.
_WRITABLE = ("/tmp", "/dev", "/proc", "/sys", "/run", "/var/lib/dataflix")  # noqa: S108  a place inside the image


@dataclass(frozen=True)
class Surroundings:
    """Real services on free ports of this machine, which an image in a chroot shares."""

    postgres: PostgresServer
    clickhouse: ClickHouseServer
    s3: S3Server

    @property
    def environ(self) -> dict[str, str]:
        """Every DATAFLIX_ variable: addresses of these services, fresh secrets, free ports."""
        made = {variable.name: variable.first_value() for variable in VARIABLES if variable.first_value}
        made |= {variable.name: str(free_port()) for variable in VARIABLES if variable.is_port}
        return made | self.postgres.environ | self.clickhouse.environ | self.s3.environ


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start the services."""
    with ExitStack() as stack:
        servers = [stack.enter_context(server()) for server in (postgres, clickhouse, s3)]
        yield Surroundings(*servers)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Image:
    """One image of ours: its Dockerfile, and what proves it."""

    name: str
    dockerfile: str
    prove: Callable[[Container, Surroundings], str]


def mlflow_environ(around: Surroundings, port: int) -> dict[str, str]:
    """Return what Compose gives to MLflow, for these services."""
    server, storage = around.postgres, around.s3.environ
    return {
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": str(port),
        "MLFLOW_BACKEND_STORE_URI": server.dsn("mlflow", "mlflow").replace(
            "postgresql:", "postgresql+psycopg2:"
        ),
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{around.s3.bucket}/mlflow",
        "MLFLOW_S3_ENDPOINT_URL": around.s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": storage["DATAFLIX_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": storage["DATAFLIX_S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow,mlflow:5003,127.0.0.1:{port}",
    }


def _status(request: Request) -> int:
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310  http:// only
            return int(answer.status)
    except HTTPError as error:
        return error.code


def prove_mlflow(container: Container, around: Surroundings) -> str:
    """The bucket job does its work twice; the server answers to the names it is known by, and to no other."""
    storage = around.s3.environ | {"DATAFLIX_S3_BUCKET": "another-bucket"}
    for _ in range(2):
        container.run("python3", "/opt/dataflix/create_bucket.py", environ=storage)
    port = free_port()
    with container.service(environ=mlflow_environ(around, port)) as seconds:
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        hosts = ("mlflow:5003", f"127.0.0.1:{port}", "elsewhere.example")
        answers = {host: _status(Request(url, headers={"Host": host})) for host in hosts}
    if list(answers.values()) != [200, 200, 403]:
        raise ProofError(f"MLflow answers by Host header: {answers}; wanted 200, 200, 403")
    return f"healthy after {seconds:.0f} s; bucket made; an unknown Host header refused"


def prove_trainer(container: Container, around: Surroundings) -> str:
    """The job API answers."""
    environ = _chosen(around.environ, "CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_TRAINER_", "TRAINER_")
    environ |= _chosen(around.environ, "MODEL_", "MLFLOW_")
    with container.service(environ=environ) as seconds:
        pass
    return f"healthy after {seconds:.0f} s"


def prove_backend(container: Container, around: Surroundings) -> str:
    """The API is ready; the synchroniser goes on while there is no MLflow."""
    environ = _chosen(around.environ, "BACKEND_", "API_KEY", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB")
    environ |= _chosen(around.environ, "POSTGRES_BACKEND_")
    with container.service(environ=environ) as seconds:
        pass
    container.stays_up("dataflix-backend", "sync-model", environ=_chosen(around.environ, "MODEL_", "MLFLOW_"))
    return f"healthy after {seconds:.0f} s; sync-model waits for MLflow"


def prove_airflow(container: Container, around: Surroundings) -> str:
    """The database migrates, the pipeline's DAG imports, the API server answers."""
    environ = _chosen(around.environ, "POSTGRES_", "CLICKHOUSE_", "TRAINER_", "AIRFLOW_")
    container.run(*container.command()[:2], "prepare", environ=environ)
    errors = container.run(*container.command()[:2], "dags", "list-import-errors", environ=environ)
    if "No data found" not in errors:
        raise ProofError(f"Airflow can't import the DAG:\n{errors[-2000:]}")
    port = environ["DATAFLIX_AIRFLOW_PORT"]
    command = (*container.command()[:2], "api-server", "--host", "127.0.0.1", "--port", port)
    with container.service(*command, environ=environ) as seconds:
        pass
    return f"migrated; the DAG imports; healthy after {seconds:.0f} s"


def prove_superset(container: Container, around: Surroundings) -> str:
    """The set-up does its work, then finds it done; the server lets the administrator in."""
    environ = _chosen(around.environ, "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_SUPERSET_", "SUPERSET_")
    environ["DATAFLIX_SUPERSET_HOST"] = "127.0.0.1"
    more = _chosen(around.environ, "CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_READER_")
    script = ("python3", "/opt/dataflix/scripts/setup_superset.py")
    for told in ("in Superset", "set up already"):
        said = container.run(*script, environ=environ | more)
        if told not in said:
            raise ProofError(f"setup_superset.py did not say {told!r}:\n{said[-2000:]}")
    password = environ.pop("DATAFLIX_SUPERSET_ADMIN_PASSWORD")
    with container.service(environ=environ) as seconds:
        url = f"http://127.0.0.1:{environ['DATAFLIX_SUPERSET_PORT']}/api/v1/security/login"
        answers = [_log_in(url, word) for word in (password, "admin")]
    if answers != [200, 401]:
        raise ProofError(f"Superset answers to the right and a wrong password: {answers}; wanted 200, 401")
    return f"set up, and found set up; healthy after {seconds:.0f} s; the administrator gets in"


def _log_in(url: str, password: str) -> int:
    body = json.dumps({"username": "admin", "password": password, "provider": "db"}).encode()
    request = Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310  http:// only
    return _status(request)


def prove_loader(container: Container, around: Surroundings) -> str:
    """The sample gets into an empty database."""
    environ = _chosen(around.environ, "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_ADMIN_")
    return container.run(*container.command(), "--quiet", environ=environ).strip()


def stray_files(container: Container) -> list[str]:
    """Return what a service wrote where Compose's read-only root would have refused it."""
    return container.strangers(_WRITABLE)


def _chosen(environ: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    return {
        name: value for name, value in environ.items() if name.removeprefix("DATAFLIX_").startswith(prefixes)
    }


IMAGES = (
    Image("dataflix-loader", "scripts/Dockerfile", prove_loader),
    Image("dataflix-mlflow", "scripts/docker/mlflow/Dockerfile", prove_mlflow),
    Image("dataflix-trainer", "trainer/Dockerfile", prove_trainer),
    Image("dataflix-backend", "backend/Dockerfile", prove_backend),
    Image("dataflix-airflow", "airflow/Dockerfile", prove_airflow),
    Image("dataflix-superset", "superset/Dockerfile", prove_superset),
)
