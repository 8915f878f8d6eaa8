"""What only our own tables take: people and items of a copy are made in the application."""

from dataflix_backend.exceptions import ConflictError
from dataflix_backend.source import Source, Thing


def require_own_tables(source: Source, thing: Thing = "user") -> None:
    """Refuse to make a user or a movie in a copy.

    Raises:
        ConflictError: our tables are a copy.
    """
    if source.identity is not None:
        words = source.words
        raise ConflictError(
            f"The {words.several(thing)} here are copied from {source.identity.name}: make the "
            f"{words.of(thing)} there, and the next copy brings it.",
            kind="copied-from-source",
        )
