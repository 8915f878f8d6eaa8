"""Our images: what each has to do, with the commands and variables that Compose gives it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dataflix_tools.image_smoke_tests import base, compose
from dataflix_tools.image_smoke_tests.buildah import Buildah, Container
from dataflix_tools.image_smoke_tests.errors import ImageError

Values = Mapping[str, str]

_ROOT = Path(__file__).resolve().parents[4]

# Where Compose lets our services write; the rest of their roots is read-only there.
_WRITABLE = ("/tmp", "/dev", "/proc", "/sys", "/run", "/var/lib/dataflix")  # noqa: S108  a place inside the image

_AIRFLOW = ("python", "/opt/dataflix/stack/docker/airflow_entrypoint.py")


@dataclass(frozen=True)
class Program:
    """A program that an image runs until it is stopped.

    Attributes:
        command: the command; empty for the image's own.
        environ: its variables.
        has_health_check: whether the image's health check is about this program.
    """

    command: tuple[str, ...]
    environ: dict[str, str]
    has_health_check: bool = True


@dataclass(frozen=True)
class Image:
    """One of our images.

    Attributes:
        name: without registry and tag.
        dockerfile: path below the project's folder.
        check_jobs: runs the commands that end; raises ImageError.
        programs: returns the programs that keep running; the first one has the health check.
        check_server: checks the answers of the running server; raises ImageError.
    """

    name: str
    dockerfile: str
    check_jobs: Callable[[Container, Values], None]
    programs: Callable[[Values], list[Program]]
    check_server: Callable[[Values], None]

    @property
    def tag(self) -> str:
        """Name of the image in the storage."""
        return f"localhost/{self.name}"

    def build(self, buildah: Buildah, pip: Path, seen: list[Path]) -> None:
        """Build the image on the stand-in base.

        Raises:
            ImageError: the build failed.
        """
        buildah.build(self.tag, _ROOT / self.dockerfile, _ROOT, base=base.NAME, pip=pip, seen=seen)


def check_written_files(container: Container) -> None:
    """Check that the programs wrote only where Compose lets them.

    Raises:
        ImageError: they wrote elsewhere.
    """
    if files := container.files_outside(_WRITABLE):
        raise ImageError(f"{container.name} wrote where its root is read-only: {', '.join(files[:5])}")


def _no_programs(_: Values) -> list[Program]:
    return []


def _nothing_to_check(_: Values) -> None:
    pass


def _load_sample(container: Container, values: Values) -> None:
    """The loader fills an empty database with the sample."""
    container.run(*container.command(), "--quiet", environ=compose.environ("sample-data", values))


def _create_bucket_twice(container: Container, values: Values) -> None:
    """The bucket job makes the bucket, then finds it."""
    environ = compose.environ("s3-bucket", values) | {"DATAFLIX_S3_BUCKET": "another-bucket"}
    for _ in range(2):
        container.run(*compose.command("s3-bucket"), environ=environ)


def _mlflow_programs(values: Values) -> list[Program]:
    address = {"MLFLOW_HOST": values["DATAFLIX_MLFLOW_HOST"], "MLFLOW_PORT": values["DATAFLIX_MLFLOW_PORT"]}
    return [Program((), compose.environ("mlflow", values) | address)]


def _check_host_headers(values: Values) -> None:
    """MLflow answers to its own names and to no other Host header."""
    address = f"127.0.0.1:{values['DATAFLIX_MLFLOW_PORT']}"
    url = f"http://{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    hosts = ("mlflow:5003", address, "elsewhere.example")
    statuses = {host: _status(Request(url, headers={"Host": host})) for host in hosts}
    if list(statuses.values()) != [200, 200, 403]:
        raise ImageError(f"MLflow's answers by Host header are {statuses}; expected 200, 200, 403")


def _import_training(container: Container, _: Values) -> None:
    """The libraries that training computes with can be loaded."""
    container.run("python3", "-c", "import dataflix_trainer.model.als", environ={})


def _trainer_programs(values: Values) -> list[Program]:
    return [Program((), compose.environ("trainer", values) | compose.listening("TRAINER", values))]


def _follow_without_source(container: Container, values: Values) -> None:
    """The copy keeps running while there is no source, nor a description of it."""
    environ = {
        **compose.environ("postgres-init", values),
        "DATAFLIX_SOURCE_HOST": "127.0.0.1",
        "DATAFLIX_SOURCE_DB": "none",
        "DATAFLIX_SOURCE_USER": "nobody",
    }
    container.check_keeps_running(*container.command(), environ=environ)


def _sync_without_mlflow(container: Container, values: Values) -> None:
    """model-sync keeps running while there is no MLflow."""
    environ = compose.environ("model-sync", values)
    container.check_keeps_running(*compose.command("model-sync"), environ=environ)


def _backend_programs(values: Values) -> list[Program]:
    server = compose.environ("backend", values) | compose.listening("BACKEND", values)
    sync = compose.environ("model-sync", values)
    return [Program((), server), Program(compose.command("model-sync"), sync, has_health_check=False)]


def _migrate_airflow(container: Container, values: Values) -> None:
    """Airflow's database migrates, and the pipeline's DAG can be imported."""
    migrate = (*_AIRFLOW, *compose.command("airflow-migrate"))
    container.run(*migrate, environ=compose.environ("airflow-migrate", values))
    environ = compose.environ("airflow-api-server", values)
    errors = container.run(*_AIRFLOW, "dags", "list-import-errors", "--local", environ=environ)
    if "No data found" not in errors:
        raise ImageError(f"Airflow cannot import the DAG:\n{errors[-2000:]}")


def _airflow_programs(values: Values) -> list[Program]:
    environ = compose.environ("airflow-scheduler", values)
    address = ("--host", values["DATAFLIX_AIRFLOW_HOST"], "--port", values["DATAFLIX_AIRFLOW_PORT"])
    others = ("airflow-scheduler", "airflow-dag-processor")
    return [
        Program((*_AIRFLOW, "api-server", *address), environ),
        *(Program((*_AIRFLOW, *compose.command(name)), environ, has_health_check=False) for name in others),
    ]


def _set_superset_up_twice(container: Container, values: Values) -> None:
    """Superset's set-up does its work, then finds it done."""
    environ = compose.environ("superset-setup", values)
    for expected in ("in Superset", "set up already"):
        printed = container.run(*compose.command("superset-setup"), environ=environ)
        if expected not in printed:
            raise ImageError(f"setup_superset.py did not print {expected!r}:\n{printed[-2000:]}")


def _superset_programs(values: Values) -> list[Program]:
    return [Program((), compose.environ("superset", values) | compose.listening("SUPERSET", values))]


def _check_superset_login(values: Values) -> None:
    """Superset lets the administrator in, and nobody with a wrong password."""
    url = f"http://127.0.0.1:{values['DATAFLIX_SUPERSET_PORT']}/api/v1/security/login"
    statuses = [_log_in(url, password) for password in (values["DATAFLIX_SUPERSET_ADMIN_PASSWORD"], "admin")]
    if statuses != [200, 401]:
        raise ImageError(f"Superset answers {statuses} to the right and a wrong password; expected 200, 401")


def _log_in(url: str, password: str) -> int:
    body = json.dumps({"username": "admin", "password": password, "provider": "db"}).encode()
    return _status(Request(url, data=body, headers={"Content-Type": "application/json"}))  # noqa: S310  http://


def _status(request: Request) -> int:
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310  http:// only
            return int(answer.status)
    except HTTPError as error:
        return error.code


# In this order MLflow's first step, which trainer and backend share, is built once.
IMAGES = (
    Image("dataflix-loader", "loader/Dockerfile", _load_sample, _no_programs, _nothing_to_check),
    Image("dataflix-source", "source/Dockerfile", _follow_without_source, _no_programs, _nothing_to_check),
    Image(
        "dataflix-mlflow",
        "stack/docker/mlflow/Dockerfile",
        _create_bucket_twice,
        _mlflow_programs,
        _check_host_headers,
    ),
    Image("dataflix-trainer", "trainer/Dockerfile", _import_training, _trainer_programs, _nothing_to_check),
    Image(
        "dataflix-backend", "backend/Dockerfile", _sync_without_mlflow, _backend_programs, _nothing_to_check
    ),
    Image("dataflix-airflow", "airflow/Dockerfile", _migrate_airflow, _airflow_programs, _nothing_to_check),
    Image(
        "dataflix-superset",
        "superset/Dockerfile",
        _set_superset_up_twice,
        _superset_programs,
        _check_superset_login,
    ),
)
