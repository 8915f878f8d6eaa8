"""Checks of another application's database, if there is one: it can be copied, and copies succeed."""

from datetime import UTC, datetime, timedelta

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.services.registry import COPY_SERVICE, has_source
from dataflix_stack.services.source import refuse_unready, source_status

# A copy that reads everything may take minutes and then rests for twenty times as long.
_MAX_AGE = timedelta(hours=2)


def checks(settings: Settings) -> list[Check]:
    """Return the checks; none without a source."""
    if not has_source(settings):
        return []
    return [
        Check(COPY_SERVICE, "your database can be copied as its description says", _ready),
        Check(COPY_SERVICE, "the last copy of your database succeeded", _last_copy),
    ]


def _ready(settings: Settings) -> str:
    try:
        refuse_unready(settings)
    except StackError as error:
        raise CheckError(str(error)) from error
    return f"{settings['SOURCE_DB']} on {settings['SOURCE_HOST']}"


def _last_copy(settings: Settings) -> str:
    found = source_status(settings)
    if found is None or found.copied_at is None:
        raise CheckError((found and found.problem) or "it was never copied: ./run.sh copies it")
    if found.problem:
        raise CheckError(f"copies have failed since {found.failing_since}: {found.problem}")
    age = datetime.now(UTC) - datetime.fromisoformat(found.copied_at)
    if age > max(_MAX_AGE, timedelta(seconds=2 * int(settings["SOURCE_COPY_SECONDS"]))):
        raise CheckError(f"the last one read it at {found.copied_at}")
    return f"{found.source}, copy: {found.mode}, read at {found.copied_at}"
