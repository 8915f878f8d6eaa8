"""The one error that the set-up ends with."""


class SetupError(Exception):
    """Superset can't be set up; the message says why and what to do."""
