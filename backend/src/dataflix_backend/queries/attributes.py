"""Items of another application by their attributes."""

from collections.abc import Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray

from dataflix_backend.database import Database
from dataflix_backend.schemas.attributes import AttributeFilter

# A condition on the row ``i`` of source.items: every filter finds its value, or one of its values.
HAS_ATTRIBUTES: LiteralString = """
NOT EXISTS (
    SELECT FROM unnest(
        %(attribute_names)s::text[], %(attribute_values)s::text[],
        %(attribute_lows)s::numeric[], %(attribute_highs)s::numeric[]
    ) AS wanted (name, value, low, high)
    WHERE NOT EXISTS (
        SELECT FROM jsonb_array_elements(
            CASE jsonb_typeof(i.attributes -> wanted.name)
                WHEN 'array' THEN i.attributes -> wanted.name
                ELSE jsonb_build_array(i.attributes -> wanted.name)
            END
        ) AS found (value)
        WHERE
            lower(found.value #>> '{}') = lower(wanted.value)
            OR CASE
                WHEN wanted.value IS NULL AND jsonb_typeof(found.value) = 'number'
                    THEN
                        (wanted.low IS NULL OR (found.value #>> '{}')::numeric >= wanted.low)
                        AND (wanted.high IS NULL OR (found.value #>> '{}')::numeric <= wanted.high)
                ELSE false
            END
    )
)
"""

_FIND = (
    "SELECT coalesce(string_agg(int8send(i.movie_id), ''), '') AS movie_ids"  # noqa: S608 - constants
    " FROM source.items AS i WHERE " + HAS_ATTRIBUTES
)


def attribute_parameters(filters: Sequence[AttributeFilter]) -> dict[str, Any]:
    """Return the parameters of ``HAS_ATTRIBUTES``."""
    return {
        "attribute_names": [each.name for each in filters],
        "attribute_values": [each.value for each in filters],
        "attribute_lows": [each.low for each in filters],
        "attribute_highs": [each.high for each in filters],
    }


def find_movies_with(database: Database, filters: Sequence[AttributeFilter]) -> NDArray[np.int64]:
    """Return the ids of the movies that pass every filter, int64[n]."""
    (row,) = database.query(_FIND, attribute_parameters(filters))
    return np.frombuffer(row["movie_ids"], dtype=">i8").astype(np.int64)
