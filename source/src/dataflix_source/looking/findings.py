"""What a check found: problems, which stop a copy, and notes, which do not."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding stops a copy."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        place: where the description speaks of it, such as `people.id`; empty for the whole source.
        text: what is wrong and what to do, without personal values.
    """

    severity: Severity
    place: str
    text: str


class Findings:
    """A list of findings that grows."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def problem(self, place: str, text: str) -> None:
        """Add what stops a copy."""
        self.all.append(Finding(Severity.PROBLEM, place, text))

    def note(self, place: str, text: str) -> None:
        """Add what a person should know."""
        self.all.append(Finding(Severity.NOTE, place, text))

    @property
    def problems(self) -> list[Finding]:
        """The findings that stop a copy."""
        return [finding for finding in self.all if finding.severity is Severity.PROBLEM]
