"""Items of another application by their attributes."""

from collections.abc import Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray

from dataflix_backend.database import Database
from dataflix_backend.schemas.attributes import AttributeFilter

# More values of an attribute than these, the most frequent, are not compared with what was typed.
MAX_COMPARED = 1000

# A condition on the row ``i`` of source.items: every filter finds its value, or one of its values.
_HAS_ATTRIBUTES: LiteralString = """
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
    " FROM source.items AS i WHERE " + _HAS_ATTRIBUTES
)

_NAMES = """
SELECT DISTINCT n.name
FROM source.items AS i
CROSS JOIN jsonb_object_keys(i.attributes) AS n (name)
ORDER BY n.name
"""

_VALUES = """
SELECT
    found.value #>> '{}' AS value,
    jsonb_typeof(found.value) = 'number' AS is_number
FROM source.items AS i
CROSS JOIN jsonb_array_elements(
    CASE jsonb_typeof(i.attributes -> %(name)s)
        WHEN 'array' THEN i.attributes -> %(name)s
        ELSE jsonb_build_array(i.attributes -> %(name)s)
    END
) AS found (value)
WHERE i.attributes ? %(name)s AND jsonb_typeof(found.value) <> 'null'
GROUP BY 1, 2
ORDER BY count(*) DESC, 1
LIMIT %(limit)s
"""


def passes(movie: LiteralString) -> LiteralString:
    """Return the condition that a movie passes every filter; true without filters.

    Args:
        movie: the name of the table of movies in the statement.
    """
    return (
        "(cardinality(%(attribute_names)s::text[]) = 0 OR EXISTS ("
        "SELECT FROM source.items AS i WHERE i.movie_id = "
        + movie
        + ".movie_id AND "
        + _HAS_ATTRIBUTES
        + "))"
    )


def attribute_parameters(filters: Sequence[AttributeFilter]) -> dict[str, Any]:
    """Return the parameters of ``passes``."""
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


def list_attribute_names(database: Database) -> list[str]:
    """Return the names of all attributes that items have, in order."""
    return [row["name"] for row in database.query(_NAMES)]


def list_attribute_values(database: Database, name: str) -> list[tuple[str, bool]]:
    """Return the most frequent values of an attribute, each with whether it is a number."""
    rows = database.query(_VALUES, {"name": name, "limit": MAX_COMPARED})
    return [(row["value"], row["is_number"]) for row in rows]
