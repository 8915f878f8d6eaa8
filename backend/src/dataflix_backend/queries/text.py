"""Search text from people, escaped for LIKE and for text search."""

import re


def like_prefix(text: str) -> str:
    """Return the LIKE pattern for values that begin with ``text``; wildcards in it are taken literally."""
    return re.sub(r"([\\%_])", r"\\\1", text) + "%"


def word_prefixes(text: str) -> str:
    """Return the tsquery for titles with a word that begins with each word of ``text``."""
    return " & ".join(f"'{word}':*" for word in re.findall(r"\w+", text))
