"""Errors of the data loaders. Each tells a person what was wrong and what to do, and has an exit code."""


class LoadError(Exception):
    """Data that were refused; nothing was changed."""

    exit_code = 1


class ConflictError(LoadError):
    """The database holds data that the data set would contradict."""


class DatabaseError(LoadError):
    """The database could not be reached or used; the data themselves may be fine."""

    exit_code = 3
