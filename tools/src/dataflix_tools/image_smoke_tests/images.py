"""What each image has to do by itself, with the variables Compose gives it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dataflix_tools.image_smoke_tests import compose
from dataflix_tools.image_smoke_tests.buildah import Container
from dataflix_tools.image_smoke_tests.errors import ImageError

Values = Mapping[str, str]

# Where Compose lets our services write; everything else of their roots is read-only there.
_WRITABLE = ("/tmp", "/dev", "/proc", "/sys", "/run", "/var/lib/dataflix")  # noqa: S108  a place inside the image

_AIRFLOW = ("python", "/opt/dataflix/stack/docker/airflow_entrypoint.py")


@dataclass(frozen=True)
class Image:
    """One image of ours: its Dockerfile, and what proves it."""

    name: str
    dockerfile: str
    prove: Callable[[Container, Values], str]


def mlflow_environ(values: Values) -> dict[str, str]:
    """Return MLflow's variables, on a port of this machine."""
    place = {"MLFLOW_HOST": values["DATAFLIX_MLFLOW_HOST"], "MLFLOW_PORT": values["DATAFLIX_MLFLOW_PORT"]}
    return compose.environ("mlflow", values) | place


def airflow(service: str) -> tuple[str, ...]:
    """Return the whole command of one of Airflow's services."""
    return (*_AIRFLOW, *compose.command(service))


def api_server(values: Values) -> tuple[str, ...]:
    """Return the command of Airflow's API server, on a port of this machine."""
    place = (values["DATAFLIX_AIRFLOW_HOST"], values["DATAFLIX_AIRFLOW_PORT"])
    return (*_AIRFLOW, "api-server", "--host", place[0], "--port", place[1])


def check_loader(container: Container, values: Values) -> str:
    """The sample gets into an empty database."""
    environ = compose.environ("sample-data", values)
    return container.run(*container.command(), "--quiet", environ=environ).strip()


def check_mlflow(container: Container, values: Values) -> str:
    """The bucket job does its work twice; the server answers to the names it is known by, and to no other."""
    bucket = compose.environ("s3-bucket", values) | {"DATAFLIX_S3_BUCKET": "another-bucket"}
    for _ in range(2):
        container.run(*compose.command("s3-bucket"), environ=bucket)
    address = f"127.0.0.1:{values['DATAFLIX_MLFLOW_PORT']}"
    with container.service(environ=mlflow_environ(values)) as seconds:
        url = f"http://{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        hosts = ("mlflow:5003", address, "elsewhere.example")
        answers = {host: _status(Request(url, headers={"Host": host})) for host in hosts}
    if list(answers.values()) != [200, 200, 403]:
        raise ImageError(f"MLflow answers by Host header: {answers}; wanted 200, 200, 403")
    return f"bucket made; healthy after {seconds:.0f} s; an unknown Host header refused"


def check_trainer(container: Container, values: Values) -> str:
    """What training computes with loads; the job API answers."""
    container.run("python3", "-c", "import dataflix_trainer.model.als", environ={})
    environ = compose.environ("trainer", values) | compose.listening("TRAINER", values)
    with container.service(environ=environ) as seconds:
        return f"healthy after {seconds:.0f} s"


def check_backend(container: Container, values: Values) -> str:
    """The API is ready; the synchroniser goes on while there is no MLflow."""
    environ = compose.environ("backend", values) | compose.listening("BACKEND", values)
    with container.service(environ=environ) as seconds:
        container.stays_up(*compose.command("model-sync"), environ=compose.environ("model-sync", values))
    return f"healthy after {seconds:.0f} s; sync-model waits for MLflow"


def check_airflow(container: Container, values: Values) -> str:
    """The database migrates, the pipeline's DAG imports, the API server answers."""
    container.run(*airflow("airflow-migrate"), environ=compose.environ("airflow-migrate", values))
    environ = compose.environ("airflow-api-server", values)
    errors = container.run(*_AIRFLOW, "dags", "list-import-errors", "--local", environ=environ)
    if "No data found" not in errors:
        raise ImageError(f"Airflow can't import the DAG:\n{errors[-2000:]}")
    with container.service(*api_server(values), environ=environ) as seconds:
        return f"migrated; the DAG imports; healthy after {seconds:.0f} s"


def check_superset(container: Container, values: Values) -> str:
    """The set-up does its work, then finds it done; the server lets the administrator in."""
    for told in ("in Superset", "set up already"):
        said = container.run(
            *compose.command("superset-setup"), environ=compose.environ("superset-setup", values)
        )
        if told not in said:
            raise ImageError(f"setup_superset.py did not say {told!r}:\n{said[-2000:]}")
    environ = compose.environ("superset", values) | compose.listening("SUPERSET", values)
    with container.service(environ=environ) as seconds:
        url = f"http://127.0.0.1:{values['DATAFLIX_SUPERSET_PORT']}/api/v1/security/login"
        answers = [_log_in(url, word) for word in (values["DATAFLIX_SUPERSET_ADMIN_PASSWORD"], "admin")]
    if answers != [200, 401]:
        raise ImageError(f"Superset answers to the right and a wrong password: {answers}; wanted 200, 401")
    return f"set up, and found set up; healthy after {seconds:.0f} s; the administrator gets in"


def stray_files(container: Container) -> list[str]:
    """Return what a service wrote where Compose's read-only root would have refused it."""
    return container.files_of_user(_WRITABLE)


def _log_in(url: str, password: str) -> int:
    body = json.dumps({"username": "admin", "password": password, "provider": "db"}).encode()
    request = Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310  http:// only
    return _status(request)


def _status(request: Request) -> int:
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310  http:// only
            return int(answer.status)
    except HTTPError as error:
        return error.code


IMAGES = (
    Image("dataflix-loader", "loader/Dockerfile", check_loader),
    Image("dataflix-mlflow", "stack/docker/mlflow/Dockerfile", check_mlflow),
    Image("dataflix-trainer", "trainer/Dockerfile", check_trainer),
    Image("dataflix-backend", "backend/Dockerfile", check_backend),
    Image("dataflix-airflow", "airflow/Dockerfile", check_airflow),
    Image("dataflix-superset", "superset/Dockerfile", check_superset),
)
