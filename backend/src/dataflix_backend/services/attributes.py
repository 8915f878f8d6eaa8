"""Refuses attributes and values that no item of the source has, and names those that are spelt alike."""

from collections.abc import Sequence

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnknownAttributeError
from dataflix_backend.queries.attributes import (
    find_movies_with,
    list_attribute_names,
    list_attribute_values,
)
from dataflix_backend.schemas.attributes import AttributeFilter
from dataflix_backend.services.spelling import nearest

# A person reads no more names than these in an error.
MAX_NAMED = 20


def require_known(database: Database, filters: Sequence[AttributeFilter]) -> None:
    """Check that items have each attribute, and that its values are of the kind of the filter.

    Ask when nothing passes: then a filter may be misspelt. A number or a range that no item has is no mistake
    where the attribute has numbers.

    Raises:
        UnknownAttributeError: no item has one of them.
    """
    names = list_attribute_names(database)
    for wanted in filters:
        if wanted.name not in names:
            known = f" Attributes are {', '.join(names[:MAX_NAMED])}." if names else " There are none here."
            raise UnknownAttributeError(
                f"There is no attribute {wanted.name!r}.{known}", nearest(wanted.name, names)
            )
        if find_movies_with(database, [wanted]).size:
            continue
        values = list_attribute_values(database, wanted.name)
        has_numbers = any(is_number for _, is_number in values)
        if has_numbers and (wanted.value is None or wanted.is_number):
            continue
        if wanted.value is None:
            raise UnknownAttributeError(
                f"The attribute {wanted.name} has no numbers, which LOW..HIGH needs.", []
            )
        alike = nearest(wanted.value, [value for value, _ in values])
        raise UnknownAttributeError(
            f"There is no value {wanted.value!r} of the attribute {wanted.name}.",
            [f"{wanted.name}:{value}" for value in alike],
        )
