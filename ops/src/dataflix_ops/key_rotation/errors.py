"""What can go wrong with a rotation; no message holds a key or a pseudonym."""


class RotationError(Exception):
    """The rotation stopped; the message says where things stand and what to do."""
