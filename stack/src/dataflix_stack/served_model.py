"""Which model the API serves, and if it serves none, why."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError

_TIMEOUT_S = 10


@dataclass(frozen=True)
class Publication:
    """What the latest run of `trainer publish` decided.

    Attributes:
        promoted: whether the promotion rule accepted the model.
        reason: of the rule, in words.
        champion: the version that may serve since then; None if there is none.
    """

    promoted: bool
    reason: str
    champion: str | None


def latest_publication(settings: Settings) -> Publication | None:
    """Return what the trainer's job API tells of the latest publication; None if it knows of none.

    Raises:
        StackError: the job API does not answer.
    """
    headers = {"Authorization": f"Bearer {settings['TRAINER_TOKEN']}"}
    jobs = _get(settings.url("TRAINER") + "/jobs", headers)
    if jobs is None:
        return None
    for job in jobs["data"]:
        if job["kind"] == "publish" and job["state"] == "succeeded" and job["result"]:
            result, champion = job["result"], job["result"].get("champion")
            return Publication(
                promoted=bool(result["promoted"]),
                reason=str(result["reason"]),
                champion=None if champion is None else str(champion),
            )
    return None


def served_version(settings: Settings) -> str | None:
    """Return the version of the model that the API serves; None while it recommends by popularity.

    Raises:
        StackError: the API does not answer.
    """
    model = _get(settings.url("BACKEND") + "/model", {"X-API-Key": settings["API_KEY"]})
    return None if model is None else str(model["version"])


def why_none(publication: Publication | None) -> str:
    """Return why the API serves no model, in sentences."""
    if publication is None:
        return "No model has been published yet. ./run.sh pipeline trains and publishes one."
    if publication.champion is not None:
        return (
            f"Version {publication.champion} should serve, but the API does not have it: ./run.sh status "
            "--json names the log of model-sync."
        )
    return (
        f"The promotion rule refused the trained model: {publication.reason}. With more data, "
        "./run.sh pipeline trains and tries again; .venv/bin/trainer models lists all models."
    )


def _get(url: str, headers: dict[str, str]) -> Any:
    """Return the JSON of an answer; None for 404."""
    try:
        answer = requests.get(url, headers=headers, timeout=_TIMEOUT_S)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as error:
        raise StackError(f"{url} did not answer: {error}. ./run.sh status shows every service.") from error
