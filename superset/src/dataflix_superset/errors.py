"""The error of the set-up."""


class SetupError(Exception):
    """Superset can't be set up; the message says why and what to do."""
