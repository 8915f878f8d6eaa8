"""Reads single fields as programs write them: leading zeros, "862.0", "3.50", blanks, missing values."""

import re
import unicodedata
from decimal import Decimal

from dataflix_loader.movielens.rejects import InvalidLineError, Reason

# The largest value of Postgres' bigint.
MAX_ID = 2**63 - 1

# Ten digits of seconds reach the year 2286, inside the range of the tables' times.
MAX_SECONDS = 10**10 - 1

# Half steps up to five stars, as the table of ratings has them.
DEFAULT_SCALE = 5
SCALES = (DEFAULT_SCALE, 10)

# What R, pandas, Excel and databases write for a missing value.
_MISSING = frozenset({"", "na", "nan", "n/a", "<na>", "null", "none", "\\n"})

_WHOLE_NUMBER = re.compile(r"\+?0*(?P<digits>[0-9]+)(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_NEGATIVE = re.compile(r"-0*[1-9][0-9]*(?:\.0*)?", re.ASCII)
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
_IMDB_ID = re.compile(r"(?:[tT]{2})?0*(?P<digits>[0-9]{1,10})(?:\.0*)?", re.ASCII)
# IMDb pads its numbers to seven digits.
_IMDB_DIGITS = 7

_SHOWN_CHARACTERS = 40

# Marks that turn the direction of the text after them; some hide what a title really says.
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_missing(raw: str) -> bool:
    """Return whether a field says that there is no value."""
    return raw.strip().lower() in _MISSING


def parse_id(raw: str, reason: Reason) -> int:
    """Return an id from 1 to the largest bigint.

    Raises:
        InvalidLineError: it is none; `reason` names the field.
    """
    number = _whole_number(raw, reason)
    if number == 0:
        raise InvalidLineError(reason, f"{shown(raw)} must be above 0")
    if number > MAX_ID:
        raise InvalidLineError(
            reason, f"{shown(raw)} is larger than {MAX_ID}, the largest that can be stored"
        )
    return number


def parse_seconds(raw: str) -> int:
    """Return seconds since 1970.

    Raises:
        InvalidLineError: it is not a whole number of them in the allowed range.
    """
    number = _whole_number(raw, Reason.BAD_TIME)
    if number > MAX_SECONDS:
        raise InvalidLineError(
            Reason.BAD_TIME, f"{shown(raw)} is after the year 2286; it must be seconds since 1970"
        )
    return number


def parse_half_stars(raw: str, scale: int) -> int:
    """Return a rating in half stars, from 1 to 10.

    Args:
        raw: the field.
        scale: 5 for 0.5 to 5 in half steps, 10 for 0 to 10 in whole steps. 0 becomes the lowest rating.

    Raises:
        InvalidLineError: it is no number, or not a step of the scale.
    """
    text = raw.strip()
    if not _NUMBER.fullmatch(text):
        raise InvalidLineError(Reason.BAD_RATING, f"{shown(raw)} is not a number")
    value = Decimal(text)
    if scale == DEFAULT_SCALE:
        half_stars = value * 2
        if not 1 <= half_stars <= 2 * DEFAULT_SCALE:
            hint = (
                f"; --scale {max(SCALES)} reads ratings from 0 to {max(SCALES)}"
                if 0 <= value <= max(SCALES)
                else ""
            )
            raise InvalidLineError(
                Reason.RATING_OUT_OF_RANGE, f"{shown(raw)} must be 0.5 to 5 in half steps{hint}"
            )
        if half_stars != half_stars.to_integral_value():
            raise InvalidLineError(Reason.RATING_OUT_OF_RANGE, f"{shown(raw)} must be in half steps")
        return int(half_stars)
    if not 0 <= value <= scale or value != value.to_integral_value():
        raise InvalidLineError(
            Reason.RATING_OUT_OF_RANGE, f"{shown(raw)} must be 0 to {scale} in whole steps"
        )
    return max(1, int(value))


def parse_imdb_id(raw: str) -> str | None:
    """Return an id like "tt0114709" of digits with or without "tt"; None if there is no value.

    Raises:
        InvalidLineError: it is not up to ten digits.
    """
    if is_missing(raw):
        return None
    found = _IMDB_ID.fullmatch(raw.strip())
    if found is None:
        raise InvalidLineError(Reason.BAD_IMDB_ID, f"{shown(raw)} must be up to ten digits{_why_not(raw)}")
    return f"tt{found['digits'].zfill(_IMDB_DIGITS)}"


def clean_text(raw: str) -> str:
    """Return a text composed (NFC), without byte order marks and outer blanks.

    Raises:
        InvalidLineError: it has characters that nobody sees, or that turn the direction of text.
    """
    text = unicodedata.normalize("NFC", raw.replace("\ufeff", "")).strip()
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs") or letter in _BIDI_OVERRIDES:
            raise InvalidLineError(
                Reason.CONTROL_CHARACTER, f"U+{ord(letter):04X} in {shown(text)}; the file may not be text"
            )
    return text


def shown(raw: str) -> str:
    """Return a field as messages show it."""
    return repr(raw if len(raw) <= _SHOWN_CHARACTERS else raw[:_SHOWN_CHARACTERS] + "…")


def _whole_number(raw: str, reason: Reason) -> int:
    found = _WHOLE_NUMBER.fullmatch(raw.strip())
    if found is None:
        if _NEGATIVE.fullmatch(raw.strip()):
            raise InvalidLineError(reason, f"{shown(raw)} must not be negative")
        raise InvalidLineError(reason, f"{shown(raw)} must be a whole number{_why_not(raw)}")
    # More digits than any limit: the number is too large, and Python refuses to convert thousands of them.
    digits = found["digits"]
    return int(digits[: len(str(MAX_ID)) + 1])


def _why_not(raw: str) -> str:
    if is_missing(raw):
        return "; the field is empty"
    if _SCIENTIFIC.fullmatch(raw.strip()):
        return "; a program rounded it to scientific notation: export the column as text"
    return ""
