"""What people type, made safe for LIKE and for text search."""

import re


def like_prefix(text: str) -> str:
    """Return the LIKE pattern for what begins with ``text``, its own wildcards taken literally."""
    return re.sub(r"([\\%_])", r"\\\1", text) + "%"


def word_prefixes(text: str) -> str:
    """Return the tsquery text for titles that have a word beginning with each word of ``text``."""
    return " & ".join(f"'{word}':*" for word in re.findall(r"\w+", text))
