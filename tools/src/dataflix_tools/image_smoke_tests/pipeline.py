"""All images at work: sample data, one run of the pipeline, recommendations from the model it made."""

import json
import time
from contextlib import ExitStack
from typing import Any
from urllib.request import Request, urlopen

from dataflix_stack.airflow.pipeline import run_pipeline
from dataflix_stack.errors import StackError
from dataflix_tools.image_smoke_tests import compose, images
from dataflix_tools.image_smoke_tests.buildah import Buildah, Container
from dataflix_tools.image_smoke_tests.errors import ImageError
from dataflix_tools.image_smoke_tests.images import Values, api_server, mlflow_environ, stray_files

# The run takes about a minute on two idle cores.
_PIPELINE_TIMEOUT_S = 1800
# model-sync looks about once a second, and so do the API's workers.
_MODEL_TIMEOUT_S = 120


def check_pipeline(buildah: Buildah, values: Values) -> str:
    """Run the pipeline in the images.

    Raises:
        ImageError: the run failed, or its model does not answer.
    """
    with ExitStack() as stack:

        def container(image: str) -> Container:
            return stack.enter_context(buildah.container(f"localhost/dataflix-{image}"))

        mlflow, trainer, backend, airflow = map(container, ("mlflow", "trainer", "backend", "airflow"))
        loader = container("loader")
        loader.run(*loader.command(), "--quiet", environ=compose.environ("sample-data", values))
        airflow.run(*images.airflow("airflow-migrate"), environ=compose.environ("airflow-migrate", values))
        environ = compose.environ("airflow-scheduler", values)
        running = [
            mlflow.service(environ=mlflow_environ(values)),
            trainer.service(
                environ=compose.environ("trainer", values) | compose.listening("TRAINER", values)
            ),
            backend.service(
                environ=compose.environ("backend", values) | compose.listening("BACKEND", values)
            ),
            backend.running(*compose.command("model-sync"), environ=compose.environ("model-sync", values)),
            airflow.service(*api_server(values), environ=environ),
            airflow.running(*images.airflow("airflow-scheduler"), environ=environ),
            airflow.running(*images.airflow("airflow-dag-processor"), environ=environ),
        ]
        for service in running:
            stack.enter_context(service)
        try:
            run = run_pipeline(dict(values), timeout=_PIPELINE_TIMEOUT_S)
        except StackError as error:
            said = _newest_log(trainer)
            raise ImageError(
                f"the pipeline did not succeed in the images: {error}\nThe trainer's last words:\n{said}"
            ) from error
        films = _recommendations(values)
        for used in (mlflow, trainer, backend, airflow, loader):
            if strays := stray_files(used):
                raise ImageError(f"{used.name} wrote where its root is read-only: {', '.join(strays[:5])}")
    return f"elt_pipeline succeeded in {run.seconds:.0f} s; {films} films recommended by its model"


def _newest_log(trainer: Container) -> str:
    logs = list(trainer.root.glob("var/lib/dataflix/trainer/**/log.txt"))
    logs.sort(key=lambda log: log.stat().st_mtime)
    return logs[-1].read_text(errors="replace")[-3000:] if logs else "none"


def _recommendations(values: Values) -> int:
    deadline = time.monotonic() + _MODEL_TIMEOUT_S
    while True:
        answer = _api(values, "/recommendations/1?n=10")
        if answer["meta"].get("model_version") == "1":
            return len(answer["data"])
        if time.monotonic() > deadline:
            raise ImageError(
                f"the API does not serve the new model after {_MODEL_TIMEOUT_S} s: {answer['meta']}"
            )
        time.sleep(1)


def _api(values: Values, path: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{values['DATAFLIX_BACKEND_PORT']}{path}"
    request = Request(url, headers={"X-API-Key": values["DATAFLIX_API_KEY"]})
    with urlopen(request, timeout=30) as answer:  # noqa: S310  http:// only
        return dict(json.load(answer))
