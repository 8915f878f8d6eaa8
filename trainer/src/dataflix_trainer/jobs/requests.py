"""Checks the body of ``POST /jobs``."""

from collections.abc import Mapping
from typing import Any, cast

from dataflix_trainer.errors import TrainerError
from dataflix_trainer.jobs.job import Kind

MAX_KEY_LENGTH = 200
MAX_TEXT_LENGTH = 1000  # of a parameter; the longest honest one is a link to an Airflow run
PARAMS: Mapping[str, frozenset[str]] = {
    "train": frozenset({"airflow_run_id", "airflow_run_url", "dbt_manifest_sha256"}),
    "publish": frozenset({"model_version"}),
    "prune": frozenset(),
}
REQUIRED: Mapping[str, frozenset[str]] = {"publish": frozenset({"model_version"})}


class BadRequestError(TrainerError):
    """The request is not one; the message names the field."""


def parse_job(body: Any) -> tuple[Kind, str, dict[str, str]]:
    """Return kind, key and parameters; raises BadRequestError."""
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object with kind, key and params")
    kind, key, params = body.get("kind"), body.get("key"), body.get("params", {})
    if not isinstance(kind, str) or kind not in PARAMS:
        raise BadRequestError(f"kind must be one of {', '.join(sorted(PARAMS))}, not {kind!r}")
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise BadRequestError(f"key must be a text of 1 to {MAX_KEY_LENGTH} printable characters")
    if not isinstance(params, dict):
        raise BadRequestError("params must be a JSON object")
    unknown = sorted(set(params) - PARAMS[kind]) + sorted(set(body) - {"kind", "key", "params"})
    if unknown:
        raise BadRequestError(f"{unknown[0]!r} is not known for {kind}; allowed: {sorted(PARAMS[kind])}")
    for name in sorted(REQUIRED.get(kind, frozenset()) - set(params)):
        raise BadRequestError(f"params.{name} is required for {kind}")
    for name, value in params.items():
        if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH or not value.isprintable():
            raise BadRequestError(f"params.{name} must be a text of at most {MAX_TEXT_LENGTH} characters")
    version = params.get("model_version", "1")
    if not (version.isascii() and version.isdecimal()):
        raise BadRequestError(f"params.model_version must be a whole number as text, not {version!r}")
    return cast("Kind", kind), key, params
