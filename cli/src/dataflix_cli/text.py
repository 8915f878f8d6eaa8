"""Text from the API, made safe and readable for a terminal."""

import json
import unicodedata
from datetime import datetime
from typing import Any


def safe(value: object) -> str:
    """Return ``value`` as text without characters that control a terminal or reorder a line."""
    return "".join(_visible(character) for character in str(value))


def dump_json(value: Any) -> str:
    """Return indented JSON. Characters that control a terminal are escaped, others stay readable."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text)


def day(moment: str) -> str:
    """Return the date of an API time in the local time zone."""
    local = _local(moment)
    return local.date().isoformat() if local else safe(moment)


def minute(moment: str) -> str:
    """Return date and time of an API time in the local time zone, to the minute."""
    local = _local(moment)
    return f"{local:%Y-%m-%d %H:%M}" if local else safe(moment)


def _local(moment: str) -> datetime | None:
    """Return None for a time that Python cannot hold, in this time zone or at all: it is shown as it came."""
    try:
        return datetime.fromisoformat(moment).astimezone()
    except (ValueError, OverflowError):
        return None


def with_article(word: str) -> str:
    """Return a word of the source after its article."""
    return f"{'an' if word[0].lower() in 'aeio' else 'a'} {word}"


def title_and_year(row: dict[str, Any]) -> str:
    """Return "Title (year)" of a movie."""
    year = row.get("release_year")
    return safe(f"{row['title']} ({year})" if year else row["title"])


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
