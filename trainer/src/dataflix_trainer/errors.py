"""Errors of the trainer: each message says what was wrong, with which input, and what to do.

The command line turns them into ``error: ...`` and the exit code of their class. Wrong settings raise
``dataflix_common.settings.SettingsError``.
"""


class TrainerError(Exception):
    """Base class of everything that this package raises on purpose."""

    exit_code = 1


class ServiceUnavailableError(TrainerError):
    """A service does not answer or refuses the trainer."""

    exit_code = 3

    def __init__(self, service: str, address: str, reason: str, *, check: str) -> None:
        super().__init__(f"{service} at {address} {reason}. Check: {check}")
        self.service = service


class DataError(TrainerError):
    """The warehouse or a file holds nothing, or nothing usable, to train or evaluate on."""

    exit_code = 4


class RegistryError(TrainerError):
    """The model registry does not hold the version that was asked for."""

    exit_code = 5


class BusyError(TrainerError):
    """Another command holds what this one needs, for longer than it usually takes."""


class ExportError(TrainerError):
    """A file or bucket cannot be written."""

    exit_code = 6


class MissingExtraError(TrainerError):
    """A library that only some commands need is not installed."""
