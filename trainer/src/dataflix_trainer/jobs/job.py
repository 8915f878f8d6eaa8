"""A job: which command was asked for, and how far it is."""

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
    """One job; ``process_started`` tells a process apart from a later one that got the same ``pid``."""

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
    def is_over(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in {"succeeded", "failed"}

    def to_dict(self) -> dict[str, Any]:
        """Return the form in which it is stored."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the stored form; raises TypeError when it is not one."""
        return cls(**values)

    def to_answer(self) -> dict[str, Any]:
        """Return the form in which the API shows it."""
        shown = ("job_id", "kind", "state", "created_at", "started_at", "finished_at", "result", "error")
        return {name: getattr(self, name) for name in shown}

    def command_line(self) -> list[str]:
        """Return the arguments of the ``trainer`` command that does it."""
        if self.kind == "publish":
            return ["publish", self.params["model_version"], "--json"]
        if self.kind == "prune":
            return ["prune", "--json"]
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.params.items()]
        return ["train", *options, f"--job-id={self.job_id}", "--json"]
