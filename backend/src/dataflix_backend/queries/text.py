"""Search text from people, escaped for LIKE."""

import re


def like_prefix(text: str) -> str:
    """Return the LIKE pattern for values that begin with ``text``; wildcards in it are taken literally."""
    return re.sub(r"([\\%_])", r"\\\1", text) + "%"
