"""What can be wrong with the files of a data set."""

from dataflix_loader.errors import LoadError


class NotMovieLensError(LoadError):
    """The given path holds no MovieLens data set."""


class SourceError(LoadError):
    """A file could not be read."""


class BadLineError(LoadError):
    """A line breaks the rules of its file."""
