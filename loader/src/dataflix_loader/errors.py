"""Errors of the loaders. Each message says what was wrong and what to do; each class has an exit code."""


class LoadError(Exception):
    """The data were refused; nothing was changed."""

    exit_code = 1


class ConflictError(LoadError):
    """The data contradict what the database holds."""


class DatabaseError(LoadError):
    """The database could not be reached or used; the data may be valid."""

    exit_code = 3


class UnwrittenOutputError(LoadError):
    """The data were loaded, but what reports this could not be written."""

    exit_code = 4
