"""Names what is spelt like a word that was typed."""

import difflib
import re
from collections.abc import Iterable

MAX_NEAREST = 3
# Below this share of common letters, what is offered has nothing to do with what was typed.
MIN_LIKENESS = 0.5


def nearest(typed: str, known: Iterable[str]) -> list[str]:
    """Return what is spelt most alike, ignoring case and punctuation, the nearest first."""
    by_letters = {_letters(name): name for name in known}
    # Half a word counts, too: "docu", "science".
    begun = [
        name
        for letters, name in by_letters.items()
        if _letters(typed) and letters.startswith(_letters(typed))
    ]
    alike = difflib.get_close_matches(_letters(typed), by_letters, n=MAX_NEAREST, cutoff=MIN_LIKENESS)
    return list(dict.fromkeys([*begun, *(by_letters[letters] for letters in alike)]))[:MAX_NEAREST]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
