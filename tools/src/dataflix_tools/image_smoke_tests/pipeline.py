"""Runs the pipeline in the containers of all images, up to recommendations from the model that it trained."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from dataflix_stack.airflow.pipeline import run_pipeline
from dataflix_stack.errors import StackError
from dataflix_tools.image_smoke_tests.buildah import Container
from dataflix_tools.image_smoke_tests.errors import ImageError
from dataflix_tools.image_smoke_tests.images import Values

# The run takes about a minute on two idle cores.
_PIPELINE_TIMEOUT_S = 1800
# model-sync and the API's workers look for a new model about once a second.
_MODEL_TIMEOUT_S = 120


def check_pipeline(containers: Mapping[str, Container], values: Values) -> str:
    """Run the pipeline and return a line about it.

    Args:
        containers: all images' containers by the image's name; their programs run, and the sample is loaded.
        values: all DATAFLIX_ variables.

    Raises:
        ImageError: the run failed, or the API does not serve its model.
    """
    try:
        run = run_pipeline(dict(values), timeout=_PIPELINE_TIMEOUT_S)
    except StackError as error:
        log = _newest_log(containers["dataflix-trainer"])
        raise ImageError(f"the pipeline failed: {error}\nThe end of the trainer's log:\n{log}") from error
    movies = len(_recommendations(values))
    return f"elt_pipeline succeeded in {run.seconds:.0f} s; its model recommends {movies} movies"


def _newest_log(trainer: Container) -> str:
    logs = list(trainer.root.glob("var/lib/dataflix/trainer/**/log.txt"))
    logs.sort(key=lambda log: log.stat().st_mtime)
    return logs[-1].read_text(errors="replace")[-3000:] if logs else "none"


def _recommendations(values: Values) -> list[Any]:
    wait_for_model = Retrying(
        retry=retry_if_result(lambda answer: answer["meta"].get("model_version") != "1"),
        stop=stop_after_delay(_MODEL_TIMEOUT_S),
        wait=wait_fixed(1),
    )
    try:
        answer = wait_for_model(_get, values, "/recommendations/1?limit=10")
    except RetryError as error:
        raise ImageError(f"the API does not serve the new model after {_MODEL_TIMEOUT_S} s") from error
    return list(answer["data"])


def _get(values: Values, path: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{values['DATAFLIX_BACKEND_PORT']}{path}"
    request = Request(url, headers={"X-API-Key": values["DATAFLIX_API_KEY"]})
    with urlopen(request, timeout=30) as answer:  # noqa: S310  http:// only
        return dict(json.load(answer))
