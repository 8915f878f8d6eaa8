"""Client of the trainer's job API: start a job, follow its log, hand back its result."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from dataflix_elt.errors import JobFailedError, TrainerRefusedError, TrainerUnavailableError
from dataflix_elt.log import event
from dataflix_elt.settings import TrainerSettings

_log = logging.getLogger(__name__)

# An answer is a few kilobytes read from a file: seconds mean that something is wrong.
_TIMEOUT_S = 10.0

# Short beside the seconds that a job takes, long beside the milliseconds that an answer costs.
_POLL_S = 0.5

# A restart of the trainer takes a few seconds; the job goes on meanwhile.
PATIENCE_S = 60.0

# More failed jobs than that for one step of one run, and somebody is trying in a loop.
_MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the trainer describes it; `state` is queued, running, succeeded or failed."""

    job_id: str
    kind: str
    state: str
    result: Mapping[str, Any] | None = None
    error: str | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read a job from an answer."""
        return cls(body["job_id"], body["kind"], body["state"], body.get("result"), body.get("error"))


class Trainer:
    """The job API, as a context manager.

    Args:
        patience_s: for how long a trainer that is away, or answers 5xx, is asked again.
    """

    def __init__(self, settings: TrainerSettings, *, patience_s: float = PATIENCE_S) -> None:
        self._client = httpx.Client(
            base_url=settings.url,
            headers={"Authorization": f"Bearer {settings.token}"},
            timeout=_TIMEOUT_S,
            # Proxies of the environment are for the way out, not for our own services.
            trust_env=False,
        )
        self._url = settings.url
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def start(self, kind: str, key: str, params: Mapping[str, Any]) -> Job:
        """Start a job, or find the one that was started with this key.

        Raises:
            TrainerUnavailableError, TrainerRefusedError: see `run_job`.
        """
        body = {"kind": kind, "key": key, "params": dict(params)}
        return self.job(self._ask("POST", "/jobs", json=body)["job_id"])

    def job(self, job_id: str) -> Job:
        """Return a job's present state."""
        return Job.from_json(self._ask("GET", f"/jobs/{job_id}"))

    def log(self, job_id: str, offset: int) -> tuple[str, int]:
        """Return what the log holds from `offset` on, and the offset after it."""
        body = self._ask("GET", f"/jobs/{job_id}/log", params={"offset": offset})
        return body["text"], body["next_offset"]

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask, and ask again while the trainer is away: every question here may be repeated."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._client.request(method, path, **options)
                problem = f"answered {answer.status_code}"
            except httpx.TransportError as error:
                problem = f"cannot be reached ({type(error).__name__})"
            else:
                if answer.is_success:
                    return self._json(answer)
                if not answer.is_server_error and answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                    raise TrainerRefusedError(
                        f"The trainer at {self._url} refused {method} {path}: {_detail(answer)}"
                    )
            if time.monotonic() >= deadline:
                raise TrainerUnavailableError(f"The trainer at {self._url} {problem}.")
            time.sleep(_POLL_S)

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise TrainerUnavailableError(
                f"What answers at {self._url} is not the trainer: no JSON."
            ) from None


def run_job(
    trainer: Trainer,
    kind: str,
    key: str,
    params: Mapping[str, Any],
    *,
    progress: Callable[[str], None] = _log.info,
) -> Mapping[str, Any]:
    """Run a job to its end and return its result.

    Called again with the same key it takes up the job that is running or done; one that failed is replaced by
    a new one.

    Args:
        kind: "train" or "publish".
        key: what makes the job unique: the id of the pipeline's run and the kind.
        progress: gets each line of the job's log.

    Raises:
        JobFailedError: the job failed; the end of its error is in the message.
        TrainerUnavailableError: the trainer cannot be reached.
        TrainerRefusedError: it refused the request, e.g. the token.
    """
    job = _start_or_resume(trainer, kind, key, params)
    event(_log, "job_started", kind=kind, job_id=job.job_id, key=key)
    with _line_by_line(progress) as write:
        offset = 0
        while True:
            # The state first: the log read after it then holds everything up to the end.
            job = trainer.job(job.job_id)
            text, offset = trainer.log(job.job_id, offset)
            write(text)
            if job.state == "succeeded":
                return job.result or {}
            if job.state == "failed":
                raise JobFailedError(
                    f"The trainer's {kind} job {job.job_id} failed: {job.error or 'no reason given'}"
                )
            if not text:
                time.sleep(_POLL_S)


def _start_or_resume(trainer: Trainer, kind: str, key: str, params: Mapping[str, Any]) -> Job:
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        job = trainer.start(kind, key if attempt == 1 else f"{key}:{attempt}", params)
        if job.state != "failed":
            return job
    raise TrainerRefusedError(f"{_MAX_ATTEMPTS} {kind} jobs of {key} have failed; see the trainer's log.")


@contextmanager
def _line_by_line(progress: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Cut text that comes in pieces into lines; the last one may lack its end."""
    rest = ""

    def write(text: str) -> None:
        nonlocal rest
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            progress(line)

    try:
        yield write
    finally:
        if rest:
            progress(rest)


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return str(answer.status_code)
    return f"{answer.status_code} {body.get('title', '')} {body.get('detail', '')}".strip()
