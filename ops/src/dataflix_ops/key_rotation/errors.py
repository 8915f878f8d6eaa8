"""Errors of a rotation. No message holds a key or a pseudonym."""


class RotationError(Exception):
    """The rotation stopped; the message says how far it came and what to do."""
