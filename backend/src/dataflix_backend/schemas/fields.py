"""Field types shared by query strings and bodies; each refuses with a sentence that names its range."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# Postgres' bigint identity columns count from 1.
MAX_ID = 2**63 - 1
LOWEST_RATING, HIGHEST_RATING, RATING_STEP = 0.5, 5, 0.5
# Longer digit strings cannot be in any range here, and int() refuses to parse very long ones.
_MAX_DIGITS = 30
# DateTime64 in the warehouse begins at 1900.
EARLIEST_TIME = datetime(1900, 1, 1, tzinfo=UTC)
# Nobody decides for longer; and a far later time does not fit Postgres.
LATEST_TIME = datetime(2200, 1, 1, tzinfo=UTC)
# How far a client's clock may be ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)

# Ten digits are more than any number here needs.
_DECIMAL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def refuse(message: str) -> PydanticCustomError:
    """Return the error whose message reaches the client word for word."""
    return PydanticCustomError("refused", "{message}", {"message": message})


# What parsing hands to validators, so that a field may be spelt in a query and still be strict in JSON.
JSON_BODY = {"is_json": True}


def is_json(info: ValidationInfo) -> bool:
    """Say whether the value comes from a JSON body; otherwise everything arrives as text."""
    return info.context is not None and bool(info.context.get("is_json"))


def whole_number(text: str) -> int | None:
    """Return the integer that ``text`` spells in plain decimal digits, or None."""
    return int(text) if len(text) <= _MAX_DIGITS and re.fullmatch(r"-?[0-9]+", text) else None


@dataclass(frozen=True)
class Whole:
    """An integer from ``low`` to ``high``; ``text`` takes decimal digits outside of JSON bodies."""

    low: int
    high: int
    text: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Validate by our own rule, so that every refusal names the range."""
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the rule."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _validate(self, value: object, info: ValidationInfo) -> int:
        number: object = value
        if self.text and isinstance(value, str) and not is_json(info):
            number = whole_number(value)
        elif isinstance(value, float) and is_json(info) and value.is_integer():
            # To JSON Schema 1.0 is an integer.
            number = int(value)
        if isinstance(number, int) and not isinstance(number, bool) and self.low <= number <= self.high:
            return number
        raise refuse(f"must be a whole number from {self.low} to {self.high}")


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high``; outside of JSON bodies it is spelt in decimal digits."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Validate by our own rule."""
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the rule."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def _validate(self, value: object, info: ValidationInfo) -> float:
        number: object = value
        if isinstance(value, str) and not is_json(info) and _DECIMAL.fullmatch(value):
            number = float(value)
        if (
            isinstance(number, int | float)
            and not isinstance(number, bool)
            and self.low <= number <= self.high
        ):
            return float(number)
        raise refuse(f"must be a number from {self.low:g} to {self.high:g}")


def _half_step(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        steps = value / RATING_STEP
        if LOWEST_RATING <= value <= HIGHEST_RATING and steps == int(steps):
            return float(value)
    raise refuse(f"must be a number from {LOWEST_RATING} to {HIGHEST_RATING} in steps of {RATING_STEP}")


@dataclass(frozen=True)
class HalfStep:
    """A rating on the half-star grid."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Validate by our own rule."""
        return core_schema.no_info_plain_validator_function(_half_step)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the rule."""
        return {
            "type": "number",
            "minimum": LOWEST_RATING,
            "maximum": HIGHEST_RATING,
            "multipleOf": RATING_STEP,
        }


def _rfc3339(value: object) -> object:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value
    raise refuse("must be a time like 2026-05-17T20:15:00Z, with its offset")


def _plausible(moment: datetime) -> datetime:
    if EARLIEST_TIME <= moment <= datetime.now(UTC) + CLOCK_SKEW:
        return moment
    raise refuse("must lie between 1900 and now")


def _future(moment: datetime) -> datetime:
    if datetime.now(UTC) < moment < LATEST_TIME:
        return moment
    raise refuse("must lie between now and the year 2200")


def no_nul(text: str) -> str:
    """Refuse what Postgres cannot store: the NUL character."""
    if "\x00" in text:
        raise refuse("must not contain the NUL character (U+0000)")
    return text


Id = Annotated[int, Whole(1, MAX_ID)]
Rating = Annotated[float, HalfStep()]
PastTime = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_plausible)]
FutureTime = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_future)]
