"""Field types shared by query strings and bodies. Each refuses with a sentence that names its range."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from annotated_types import GroupedMetadata
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

# Postgres' bigint identity columns count from 1.
MAX_ID = 2**63 - 1
LOWEST_RATING, HIGHEST_RATING, RATING_STEP = 0.5, 5, 0.5
# Longer digit strings are out of every range here, and int() refuses very long ones.
_MAX_DIGITS = 30
# The warehouse's DateTime64 begins in 1900.
EARLIEST_TIME = datetime(1900, 1, 1, tzinfo=UTC)
# Far enough for every plan, and within the range of Postgres.
LATEST_TIME = datetime(2200, 1, 1, tzinfo=UTC)
# The end of the range that the tables' check constraints and the warehouse have; it begins at EARLIEST_TIME.
LATEST_STORED_TIME = datetime(2299, 12, 31, 23, 59, 59, 999999, UTC)
# How far a client's clock may be ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)

# Ten digits are enough for every number here.
_DECIMAL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

# The validation context of a JSON body: there, numbers are numbers. In a query string everything is text.
JSON_BODY = {"is_json": True}


def refuse(message: str) -> PydanticCustomError:
    """Return the error whose message reaches the client word for word."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def refuse_together(fields: list[str], message: str, *, movie_id: int | None = None) -> PydanticCustomError:
    """Return the error of several fields that do not fit together; ``message`` follows their names.

    With ``movie_id``, the message has ``{movie}`` where the movie's id belongs.
    """
    context: dict[str, Any] = {"fields": fields, "message": message}
    return PydanticCustomError(
        "together", "{message}", context if movie_id is None else context | {"movie_id": movie_id}
    )


def require_order(low_name: str, low: int | None, high_name: str, high: int | None) -> None:
    """Refuse two bounds of which the lower one is above the higher one; None is no bound."""
    if low is not None and high is not None and low > high:
        raise refuse_together([low_name, high_name], f"must be in order: {low} is greater than {high}")


def is_json(info: ValidationInfo) -> bool:
    """Return whether the value comes from a JSON body, not from a query string."""
    return info.context is not None and bool(info.context.get("is_json"))


def whole_number(text: str) -> int | None:
    """Return the integer that ``text`` holds in plain decimal digits, or None."""
    return int(text) if len(text) <= _MAX_DIGITS and re.fullmatch(r"-?[0-9]+", text) else None


def json_list(text: str) -> list[Any] | None:
    """Return the array that ``text`` holds in JSON, or None."""
    if not text.startswith("["):
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None


# eq=False: annotations are hashed, and a schema is a dictionary.
@dataclass(frozen=True, eq=False)
class Rule(GroupedMetadata):
    """A validator together with its JSON schema, for ``Annotated``.

    Pydantic's own bounds would refuse in words that do not name the range.
    """

    validate: Callable[[Any, ValidationInfo], Any]
    schema: dict[str, Any]

    def __iter__(self) -> Iterator[object]:
        yield PlainValidator(self.validate)
        yield WithJsonSchema(self.schema)


def whole(low: int, high: int, *, text: bool = False) -> Rule:
    """Return the rule of an integer from ``low`` to ``high``; with ``text``, digits in a query string too."""

    def validate(value: object, info: ValidationInfo) -> int:
        number: object = value
        if text and isinstance(value, str) and not is_json(info):
            number = whole_number(value)
        elif isinstance(value, float) and is_json(info) and value.is_integer():
            # In JSON Schema 1.0 is an integer.
            number = int(value)
        if isinstance(number, int) and not isinstance(number, bool) and low <= number <= high:
            return number
        raise refuse(f"must be a whole number from {low} to {high}")

    return Rule(validate, {"type": "integer", "minimum": low, "maximum": high})


def listed(high: int, item: Callable[[object], Any], schema: dict[str, Any], *, text: bool) -> Rule:
    """Return the rule of several values: an array in JSON; in a query string separated by commas, too.

    Args:
        high: the most values that are accepted.
        item: validates one value.
        schema: the JSON schema of one value.
        text: whether the document shows the query string's form.
    """

    def validate(value: object, info: ValidationInfo) -> tuple[Any, ...]:
        values = value
        if isinstance(value, str) and not is_json(info):
            values = json_list(value)
            if values is None:
                values = [part.strip() for part in value.split(",")]
        if not isinstance(values, list):
            raise refuse("must be an array")
        if len(values) > high:
            raise refuse(f"must hold at most {high}")
        return tuple(item(part) for part in values)

    return Rule(
        validate, {"type": "string"} if text else {"type": "array", "items": schema, "maxItems": high}
    )


def flag() -> Rule:
    """Return the rule of a truth value; a query string holds it as ``true`` or ``false``."""

    def validate(value: object, info: ValidationInfo) -> bool:
        found = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
        if isinstance(found, bool) and not (isinstance(value, str) and is_json(info)):
            return found
        raise refuse("must be true or false")

    return Rule(validate, {"type": "boolean"})


def number(low: float, high: float) -> Rule:
    """Return the rule of a number from ``low`` to ``high``; a query string holds it in decimal digits."""

    def validate(value: object, info: ValidationInfo) -> float:
        found: object = value
        if isinstance(value, str) and not is_json(info) and _DECIMAL.fullmatch(value):
            found = float(value)
        if isinstance(found, int | float) and not isinstance(found, bool) and low <= found <= high:
            return float(found)
        raise refuse(f"must be a number from {low:g} to {high:g}")

    return Rule(validate, {"type": "number", "minimum": low, "maximum": high})


def _half_step(value: object, _: ValidationInfo) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        steps = value / RATING_STEP
        if LOWEST_RATING <= value <= HIGHEST_RATING and steps == int(steps):
            return float(value)
    raise refuse(f"must be a number from {LOWEST_RATING} to {HIGHEST_RATING} in steps of {RATING_STEP}")


_HALF_STEP = Rule(
    _half_step,
    {
        "type": "number",
        "minimum": LOWEST_RATING,
        "maximum": HIGHEST_RATING,
        "multipleOf": RATING_STEP,
    },
)


def _rfc3339(value: object) -> object:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value
    raise refuse("must be a time like 2026-05-17T20:15:00Z, with its offset")


def _past(moment: datetime) -> datetime:
    if EARLIEST_TIME <= moment <= datetime.now(UTC) + CLOCK_SKEW:
        return moment
    raise refuse("must lie between 1900 and now")


def _future(moment: datetime) -> datetime:
    if datetime.now(UTC) < moment < LATEST_TIME:
        return moment
    raise refuse("must lie between now and the year 2200")


def stored_time(text: str) -> datetime:
    """Return a time of Postgres in UTC, or the nearest one within the range.

    Rows from before the check constraints may hold times that Python cannot: before Christ, after the year
    9999, infinity.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return EARLIEST_TIME if text.endswith("BC") or text.startswith("-") else LATEST_STORED_TIME
    return min(max(found, EARLIEST_TIME), LATEST_STORED_TIME)


def no_nul(text: str) -> str:
    """Refuse the NUL character, which Postgres cannot store."""
    if "\x00" in text:
        raise refuse("must not contain the NUL character (U+0000)")
    return text


Id = Annotated[int, whole(1, MAX_ID)]
Rating = Annotated[float, _HALF_STEP]
PastTime = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_past)]
FutureTime = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_future)]
