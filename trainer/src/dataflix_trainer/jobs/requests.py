"""The body of ``POST /jobs``, checked by pydantic."""

import reprlib
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dataflix_trainer.errors import TrainerError
from dataflix_trainer.jobs.job import Kind

MAX_KEY_LENGTH = 200
# Of a parameter. The longest honest one is a link to an Airflow run.
MAX_TEXT_LENGTH = 1000


class BadRequestError(TrainerError):
    """The request cannot be read as a job; the message names the field."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters are allowed")
    return text


Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH), AfterValidator(_printable)]
Text = Annotated[str, Field(max_length=MAX_TEXT_LENGTH), AfterValidator(_printable)]
VersionNumber = Annotated[Text, Field(pattern="^[0-9]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class TrainParams(_Strict):
    """Parameters of a training; each becomes an option of ``trainer train``."""

    airflow_run_id: Text = ""
    airflow_run_url: Text = ""
    dbt_manifest_sha256: Text = ""


class PublishParams(_Strict):
    """Parameters of ``trainer publish``."""

    model_version: VersionNumber


class PruneParams(_Strict):
    """Parameters of ``trainer prune``: none."""


class TrainRequest(_Strict):
    """Asks for a training."""

    kind: Literal["train"]
    key: Key
    params: TrainParams = Field(default_factory=TrainParams)


class PublishRequest(_Strict):
    """Asks to publish one version."""

    kind: Literal["publish"]
    key: Key
    # Checked like a given value, so that a missing version is named.
    params: PublishParams = Field(default={}, validate_default=True)


class PruneRequest(_Strict):
    """Asks to remove what is older than the retention."""

    kind: Literal["prune"]
    key: Key
    params: PruneParams = Field(default_factory=PruneParams)


_REQUEST: TypeAdapter[TrainRequest | PublishRequest | PruneRequest] = TypeAdapter(
    Annotated[TrainRequest | PublishRequest | PruneRequest, Field(discriminator="kind")]
)


def parse_job(body: Any) -> tuple[Kind, str, dict[str, str]]:
    """Return kind, key and parameters of the job that ``body`` asks for.

    Raises:
        BadRequestError: ``body`` is no such request.
    """
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object with kind, key and params")
    try:
        request = _REQUEST.validate_python(body)
    except ValidationError as error:
        raise BadRequestError(_first_problem(error)) from error
    return request.kind, request.key, request.params.model_dump(exclude_unset=True)


def _first_problem(error: ValidationError) -> str:
    """Return what is wrong with which field, in words."""
    problem = error.errors(include_url=False)[0]
    if problem["type"].startswith("union_tag"):
        kind = problem["input"].get("kind")
        return f"kind must be one of {', '.join(sorted(get_args(Kind)))}, not {reprlib.repr(kind)}"
    kind, field = problem["loc"][0], ".".join(map(str, problem["loc"][1:]))
    if problem["type"] == "missing":
        return f"{field} is required for {kind}"
    if problem["type"] == "extra_forbidden":
        return f"{field} is not known for {kind}; remove it"
    reason = problem.get("ctx", {}).get("error", problem["msg"])
    return f"{field}: {reason}, not {reprlib.repr(problem['input'])}"
