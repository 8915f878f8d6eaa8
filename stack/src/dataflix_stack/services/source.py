"""Another application's database: what `dataflix-source` does for the stack, as a process of its own."""

import json
import subprocess
from dataclasses import dataclass

from dataflix_stack.config.private_files import UMASK
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say, step
from dataflix_stack.services.registry import SOURCE_PROGRAM, has_source, source_environ


@dataclass(frozen=True)
class SourceStatus:
    """What was copied from where, and how the last copy ended.

    Attributes:
        source: its name in the description; None before the first copy.
        mode: how changes are found.
        guarantee: what that mode sees and what it does not.
        copied_at: when the last copy that succeeded read the source, in UTC.
        compared_at: when every row was last compared.
        problem: why the last copy failed; None if it did not.
        failing_since: when the first one in a row failed.
    """

    source: str | None = None
    mode: str | None = None
    guarantee: str | None = None
    copied_at: str | None = None
    compared_at: str | None = None
    problem: str | None = None
    failing_since: str | None = None


def refuse_unready(settings: Settings) -> None:
    """Raise if a copy could not begin, before anything starts for it.

    Raises:
        StackError: the description is not valid, or its database can't be copied as it says.
    """
    done = _run(settings, "ready", settings["SOURCE_FILE"])
    if done.returncode != 0:
        raise StackError(_message(done))


def copy(settings: Settings, *, accept_source: bool = False) -> None:
    """Bring our Postgres in line with the source.

    Args:
        settings: the stack's settings.
        accept_source: take over another database than the one that was copied.

    Raises:
        StackError: the copy was refused or failed; it changed nothing.
    """
    accepted = ["--accept-source"] if accept_source else []
    with step("copy of your database"):
        done = _run(settings, "copy", settings["SOURCE_FILE"], "--wait", "--quiet", *accepted)
    if done.returncode != 0:
        raise StackError(f"Your database was not copied, and nothing was changed:\n{_message(done)}")
    for line in done.stdout.strip().splitlines():
        say(f"  {line}")


def source_status(settings: Settings) -> SourceStatus | None:
    """Return what was copied; None where no other application's database is used."""
    if not has_source(settings):
        return None
    done = _run(settings, "status", "--json")
    if done.returncode != 0:
        return SourceStatus(problem=_message(done))
    found = json.loads(done.stdout)
    entities = found["entities"]
    return SourceStatus(
        source=found["source"],
        mode=found["mode"],
        guarantee=found["guarantee"],
        # Written together, but not every entity is compared each time.
        copied_at=min((entity["read_at"] for entity in entities), default=None),
        compared_at=min((entity["compared_at"] for entity in entities), default=None),
        problem=found["problem"],
        failing_since=found["failing_since"],
    )


def _run(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SOURCE_PROGRAM), *words],
        env=source_environ(settings),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        umask=UMASK,
    )


def _message(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip()[-2000:] or f"dataflix-source ended with code {done.returncode}."
