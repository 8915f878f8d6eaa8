"""What can be wrong with the files of a data set."""

from dataflix_loader.errors import LoadError


class NotMovieLensError(LoadError):
    """The given path holds no MovieLens data set."""


class FileError(LoadError):
    """A file could not be read or written."""


class BadLineError(LoadError):
    """A line is invalid, and invalid lines are not collected."""


class OutputPathError(LoadError):
    """A file that the import would write must not be written."""

    exit_code = 2
