"""Every value that Postgres can hold arrives unchanged in ClickHouse."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from dataflix_elt.tables import Table
from dataflix_testkit.long_mode import short_or_long

from ..support.engines import EVERY_KIND, Engines

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# All but the zero byte, which no text in Postgres can hold, and lone surrogates, which no UTF-8 can.
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    [
        "",
        "\\N",
        "\\",
        "'",
        '"',
        "''",
        '""',
        "NULL",
        " ",
        "\t",
        "\n",
        "\r\n",
        ",",
        "\\.",
        "[]",
        "{}",
        "a\\'b",
        "\\n",
        "\ufeff",
    ]
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
smalls = st.integers(-(2**15), 2**15 - 1)
bigs = st.integers(-(2**63), 2**63 - 1)
times = st.datetimes(datetime(1900, 1, 1), datetime(2299, 12, 31, 23, 59, 59, 999999), timezones=st.just(UTC))  # noqa: DTZ001

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "id": bigs,
    "small": smalls,
    "small_or_null": st.none() | smalls,
    "big_or_null": st.none() | bigs,
    "number": numbers,
    "number_or_null": st.none() | numbers,
    "flag": st.booleans(),
    "flag_or_null": st.none() | st.booleans(),
    "words": texts,
    "words_or_null": st.none() | texts,
    "list": st.lists(texts, max_size=4),
    "at": times,
    "at_or_null": st.none() | times,
}
NAMES = [column.name for column in EVERY_KIND]
rows_of_every_kind = st.lists(st.fixed_dictionaries(VALUES), max_size=20, unique_by=lambda row: row["id"])


def exact(value: Any) -> Any:
    """Return a value for which 0.0 and -0.0 differ."""
    return (value, math.copysign(1, value)) if isinstance(value, float) else value


@settings(
    max_examples=short_or_long(10, 100),
    # Each step of shrinking is a load; twenty rows are readable without it.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=rows_of_every_kind)
def test_every_value_arrives_as_it_was(
    engines: Engines, every_kind: tuple[Table, str], rows: list[dict[str, Any]]
) -> None:
    table, base = every_kind
    replace_rows(engines, base, rows)

    result = engines.load(table)

    assert result.rows == len(rows)
    # As microseconds, because Python converts distant times through floats.
    columns = [f"toUnixTimestamp64Micro({name})" if name.startswith("at") else name for name in NAMES]
    found = engines.query(f"select {', '.join(columns)} from raw.{table.name} order by id")
    wanted = [
        tuple(
            (row[name] - EPOCH) // timedelta(microseconds=1) if isinstance(row[name], datetime) else row[name]
            for name in NAMES
        )
        for row in sorted(rows, key=lambda row: row["id"])
    ]
    assert [tuple(map(exact, row)) for row in found] == [tuple(map(exact, row)) for row in wanted]


def replace_rows(engines: Engines, base: str, rows: list[dict[str, Any]]) -> None:
    import psycopg2

    with psycopg2.connect(engines.source_server.dsn("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(f"truncate {base}")
        columns = ", ".join(f'"{name}"' for name in NAMES)
        # Casts, because psycopg2 writes -0.0 as a number that Postgres reads as 0, and [] without a type.
        casts = {"list": "::text[]", "number": "::text::real", "number_or_null": "::text::real"}
        template = "(" + ", ".join("%s" + casts.get(name, "") for name in NAMES) + ")"
        values = [
            tuple(repr(row[name]) if isinstance(row[name], float) else row[name] for name in NAMES)
            for row in rows
        ]
        execute_values(cursor, f"insert into {base} ({columns}) values %s", values, template)
    connection.close()
