"""Client of the trainer's job API: starts a job, follows its log, returns its result."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dataflix_elt.errors import JobFailedError, TrainerRefusedError, TrainerUnavailableError
from dataflix_elt.log import EventLog
from dataflix_elt.settings import TrainerSettings

_log = EventLog(logging.getLogger(__name__))

# An answer is a few kilobytes read from a file: seconds mean that something is wrong.
_TIMEOUT_S = 10.0

# Short compared with the seconds that a job takes, long compared with the milliseconds of an answer.
_POLL_S = 0.5

# A restart of the trainer takes a few seconds, and the job goes on meanwhile.
PATIENCE_S = 60.0

# With more failed jobs for one step of one run, something starts jobs in a loop.
_MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class TrainerJob:
    """A job as the trainer describes it; `state` is queued, running, succeeded or failed."""

    job_id: str
    kind: str
    state: str
    result: Mapping[str, Any] | None = None
    error: str | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read a job from the body of an answer."""
        return cls(body["job_id"], body["kind"], body["state"], body.get("result"), body.get("error"))


class Trainer:
    """The job API, as a context manager.

    Args:
        settings: where the trainer is.
        patience_s: how long to retry while the trainer is down or answers 5xx, s.
    """

    def __init__(self, settings: TrainerSettings, *, patience_s: float = PATIENCE_S) -> None:
        self._client = httpx.Client(
            base_url=settings.url,
            headers={"Authorization": f"Bearer {settings.token}"},
            timeout=_TIMEOUT_S,
            # Proxies of the environment are for the outside, not for our own services.
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

    def start(self, kind: str, key: str, params: Mapping[str, Any]) -> TrainerJob:
        """Start a job, or return the one that was started with this key.

        Raises:
            TrainerUnavailableError, TrainerRefusedError: see `run_job`.
        """
        body = {"kind": kind, "key": key, "params": dict(params)}
        return self.job(self._ask("POST", "/jobs", json=body)["job_id"])

    def job(self, job_id: str) -> TrainerJob:
        """Return a job as it is now."""
        return TrainerJob.from_json(self._ask("GET", f"/jobs/{job_id}"))

    def log(self, job_id: str, offset: int) -> tuple[str, int]:
        """Return the log from `offset` on, and the offset of its end."""
        body = self._ask("GET", f"/jobs/{job_id}/log", params={"offset": offset})
        return body["text"], body["next_offset"]

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the body. Every request here can be repeated."""
        retrying = Retrying(
            retry=retry_if_exception_type(TrainerUnavailableError),
            stop=stop_after_delay(self._patience_s),
            wait=wait_fixed(_POLL_S),
            reraise=True,
        )
        answer: httpx.Response = retrying(self._request, method, path, **options)
        try:
            return answer.json()
        except ValueError:
            raise TrainerUnavailableError(
                f"The service at {self._url} is not the trainer: its answer is no JSON."
            ) from None

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise TrainerUnavailableError(
                f"The trainer at {self._url} cannot be reached ({type(error).__name__})."
            ) from None
        if answer.is_success:
            return answer
        if answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise TrainerUnavailableError(f"The trainer at {self._url} answered {answer.status_code}.")
        raise TrainerRefusedError(f"The trainer at {self._url} refused {method} {path}: {_detail(answer)}")


def run_job(
    trainer: Trainer,
    kind: str,
    key: str,
    params: Mapping[str, Any],
    *,
    progress: Callable[[str], None] = _log.logger.info,
) -> Mapping[str, Any]:
    """Run a job to its end and return its result.

    A second call with the same key follows the job that is running or done. If that job failed, the call
    starts a new one.

    Args:
        trainer: the job API.
        kind: "train", "publish" or "prune".
        key: identifies the job: the id of the pipeline's run, and the kind.
        params: of the job.
        progress: gets each line of the job's log.

    Raises:
        JobFailedError: the job failed; the end of its error is in the message.
        TrainerUnavailableError: the trainer cannot be reached.
        TrainerRefusedError: it refused the request, e.g. the token.
    """
    job = _start_or_resume(trainer, kind, key, params)
    _log.info("job_started", kind=kind, job_id=job.job_id, key=key)
    with _line_by_line(progress) as write:
        offset = 0
        while True:
            # State first: then the log that is read after it is complete.
            job = trainer.job(job.job_id)
            text, offset = trainer.log(job.job_id, offset)
            write(text)
            if job.state == "succeeded":
                return job.result or {}
            if job.state == "failed":
                raise JobFailedError(
                    f"The trainer's {kind} job {job.job_id} failed: {job.error or 'it gave no reason'}"
                )
            if not text:
                time.sleep(_POLL_S)


def _start_or_resume(trainer: Trainer, kind: str, key: str, params: Mapping[str, Any]) -> TrainerJob:
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        job = trainer.start(kind, key if attempt == 1 else f"{key}:{attempt}", params)
        if job.state != "failed":
            return job
    raise TrainerRefusedError(f"{_MAX_ATTEMPTS} {kind} jobs of {key} have failed. See the trainer's log.")


@contextmanager
def _line_by_line(progress: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Cut text that arrives in pieces into lines; the last line may lack its end."""
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
