"""Log records of one part of the API."""

import logging

import pytest


def records_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    """Return the records of one logger; threads of other tests' applications may log at any time."""
    return [record for record in caplog.records if record.name == logger]
