"""The error type of the stack."""


class StackError(Exception):
    """An error that the person who runs the stack can fix; the message says what is wrong and what to do."""
