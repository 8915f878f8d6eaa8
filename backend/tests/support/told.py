"""What a part of the API logs while a test looks."""

import logging

import pytest


def told_by(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    """Return what that logger was told; watchers of other tests' applications may log at any time."""
    return [record for record in caplog.records if record.name == logger]
