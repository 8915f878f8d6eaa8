"""What is known of items besides events: one column for each category and each value of an attribute.

Texts, truth values and the members of lists have a column each, ignoring case. A number is in one of a few
ranges that hold about equally many items, because taste seldom grows with a number. What a single item has
(a description, a serial number) says nothing about another one and has no column.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dataflix_trainer.errors import DataError

# A column of fewer items is learnt from one example.
MIN_ITEMS = 2
# The system that is solved has this many rows at most: 32 MB, and less than a second.
MAX_FEATURES = 2_000
# Ranges of a number: with ten, 100 items leave ten for each.
NUMBER_RANGES = 10


def item_features(categories: Sequence[Iterable[str]], attributes: Sequence[Mapping[str, Any]]) -> csr_matrix:
    """Return the features float64[I, D] of items, each row of length 1, or 0 where nothing is known.

    Args:
        categories: the categories of each of the I items.
        attributes: the attributes of each item: numbers, texts, truth values, and lists of them. What is
            nested deeper is left out.
    """
    ranges = _number_ranges(attributes)
    rows = [
        {("", category.casefold()) for category in found} | set(_values(others, ranges))
        for found, others in zip(categories, attributes, strict=True)
    ]
    counts = Counter(feature for row in rows for feature in row)
    frequent = sorted(
        (feature for feature, count in counts.items() if count >= MIN_ITEMS),
        key=lambda feature: (-counts[feature], feature),
    )[:MAX_FEATURES]
    column_of = {feature: column for column, feature in enumerate(frequent)}
    columns = [sorted(column_of[feature] for feature in row if feature in column_of) for row in rows]
    lengths = np.array([len(row) for row in columns], dtype=np.int64)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    indices = np.array([column for row in columns for column in row], dtype=np.int64)
    return csr_matrix((values, indices, indptr), shape=(len(rows), len(frequent)))


def parse_attributes(item_id: int, text: str) -> dict[str, Any]:
    """Return the attributes of an item, of its JSON.

    Raises:
        DataError: it is no object.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"the attributes of item {item_id} are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"the attributes of item {item_id} are no object")
    return found


def _values(
    attributes: Mapping[str, Any], ranges: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bool | str):
                yield name, str(each).casefold()
            elif (number := _number(each)) is not None:
                yield name, f"range {np.searchsorted(ranges[name], number, side='right')}"


def _number_ranges(attributes: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Return for each attribute with numbers the bounds between its ranges, ascending."""
    found: dict[str, list[float]] = {}
    for row in attributes:
        for name, value in row.items():
            numbers = map(_number, value if isinstance(value, list) else [value])
            found.setdefault(name, []).extend(number for number in numbers if number is not None)
    shares = np.arange(1, NUMBER_RANGES) / NUMBER_RANGES
    return {
        # A value that many items have ends one range and begins the next: ranges are of present values.
        name: np.unique(np.quantile(numbers, shares, method="higher"))
        for name, numbers in found.items()
        if numbers
    }


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        # A whole number of hundreds of digits.
        return None
    return number if math.isfinite(number) else None
