"""Filters on attributes of the items of another application."""

import re
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from dataflix_backend.schemas.fields import listed, no_nul, refuse

# A longer list is a mistake.
MAX_ATTRIBUTES = 20
MAX_VALUE_LENGTH = 200

ATTRIBUTE_FILTER = (
    "Attributes that an item of the source must have: NAME:VALUE, ignoring case, or NAME:LOW..HIGH for "
    "numbers, of which one may be left out. An attribute or a value that no item has is refused."
)

# As a description of a source names attributes.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)
_RANGE = re.compile(r"(-?[0-9]{1,30}(?:\.[0-9]{1,30})?)?\.\.(-?[0-9]{1,30}(?:\.[0-9]{1,30})?)?", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_SCHEMA = {"type": "string", "minLength": 3, "maxLength": 49 + MAX_VALUE_LENGTH}


class AttributeFilter(NamedTuple):
    """What one attribute must be.

    Attributes:
        name: of the attribute.
        value: its text; None for a range.
        low: the lowest number.
        high: the highest number.
    """

    name: str
    value: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None

    @property
    def is_number(self) -> bool:
        """Whether the value is a number."""
        return self.value is not None and bool(_NUMBER.fullmatch(self.value))


def _filter(value: object) -> AttributeFilter:
    name, colon, wanted = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and _NAME.fullmatch(name) and 0 < len(wanted) <= MAX_VALUE_LENGTH):
        raise refuse(f"must hold NAME:VALUE with values of 1 to {MAX_VALUE_LENGTH} characters")
    found = _RANGE.fullmatch(wanted)
    if found is None or not any(found.groups()):
        return AttributeFilter(name, no_nul(wanted))
    low, high = (None if bound is None else Decimal(bound) for bound in found.groups())
    if low is not None and high is not None and low > high:
        raise refuse("must hold ranges in order")
    return AttributeFilter(name, None, low, high)


SEVERAL = "Several are separated by commas, or an array in JSON."

AttributesText = Annotated[tuple[Any, ...], listed(MAX_ATTRIBUTES, _filter, _SCHEMA, text=True)]
Attributes = Annotated[tuple[Any, ...], listed(MAX_ATTRIBUTES, _filter, _SCHEMA, text=False)]
