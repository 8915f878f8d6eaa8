"""Errors of the trainer: each message says what was wrong, with which input, and what to do.

The command line turns them into ``error: ...`` and the exit code of their class.
"""


class TrainerError(Exception):
    """Base class of everything this package raises on purpose."""

    exit_code = 1


class SettingsError(TrainerError):
    """Environment variables are missing or wrong; the message names each."""

    exit_code = 2


class ServiceUnavailableError(TrainerError):
    """A service that we need does not answer or refuses us."""

    exit_code = 3

    def __init__(self, service: str, address: str, reason: str, *, check: str) -> None:
        super().__init__(f"{service} at {address} {reason}. Check: {check}")
        self.service = service


class DataError(TrainerError):
    """The warehouse holds nothing, or nothing usable, to train from."""

    exit_code = 4


class RegistryError(TrainerError):
    """The model registry does not hold what was asked for."""

    exit_code = 5


class ExportError(TrainerError):
    """A file or bucket cannot be written."""

    exit_code = 6


class MissingExtraError(TrainerError):
    """A library that only some commands need is not installed."""
