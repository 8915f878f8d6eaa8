"""A job: which command to run, and its state."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

Kind = Literal["train", "publish", "prune"]
State = Literal["queued", "running", "succeeded", "failed"]


def now() -> str:
    """Return the present moment in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        key: the client's idempotency key.
        params: parameters of the command.
        result: what the command returned; None until it succeeded.
        error: why the job failed; None if it did not.
        pid: of the process that runs the command.
        process_started: tells the process apart from a later one with the same ``pid``.
    """

    job_id: str
    kind: Kind
    key: str
    params: dict[str, str]
    state: State
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    pid: int | None = None
    process_started: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its state will not change any more."""
        return self.state in {"succeeded", "failed"}

    def to_dict(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the stored form.

        Raises:
            TypeError: ``values`` is not that form.
        """
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API returns."""
        shown = ("job_id", "kind", "state", "created_at", "started_at", "finished_at", "result", "error")
        return {name: getattr(self, name) for name in shown}

    def command_line(self) -> list[str]:
        """Return the arguments of the ``trainer`` command that runs this job."""
        if self.kind == "publish":
            return ["publish", self.params["model_version"], "--json"]
        if self.kind == "prune":
            return ["prune", "--json"]
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.params.items()]
        return ["train", *options, f"--job-id={self.job_id}", "--json"]
