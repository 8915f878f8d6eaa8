"""The one error type of the local stack: its text is for the person at the terminal."""


class StackError(Exception):
    """Something the person who runs the stack can act on; the message says what was wrong and what to do."""
