"""Gives Superset the whole range of ClickHouse's dates, 1900 to 2299.

Superset 6.1 writes time grains and time filters with ClickHouse's narrow types, which end before 1970 and
after 2106: it shows a rating of 1950 in 2086, and the filter "since 1950" begins in 1970.
"""

# Superset has its own environment, which the type checker does not see.
# mypy: disable-error-code="import-not-found, import-untyped, no-any-return"

from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import types
from superset.db_engine_specs.clickhouse import ClickHouseConnectEngineSpec

# Microseconds, as in the warehouse. Whole seconds would round a time before 1970 up, into the next year.
_TIME = "toDateTime64({col}, 6)"
_DAY = f"toDate32({_TIME})"
_MINUTE_US = 60_000_000


def _minutes(number: int) -> str:
    """Return the start of the last full number of minutes. ClickHouse's own functions give narrow types."""
    since_minute = f"positiveModulo(toUnixTimestamp64Micro({_TIME}), {_MINUTE_US})"
    since_start = f"{since_minute} + toMinute({_TIME}) % {number} * {_MINUTE_US}"
    return f"subtractMicroseconds({_TIME}, {since_start})"


# All grains that Superset has for ClickHouse.
GRAINS = {
    "PT1M": _minutes(1),
    "PT5M": _minutes(5),
    "PT10M": _minutes(10),
    "PT15M": _minutes(15),
    "PT30M": _minutes(30),
    "PT1H": _minutes(60),
    "P1D": _DAY,
    "P1W": f"subtractDays({_DAY}, toDayOfWeek({_TIME}) - 1)",
    "P1M": f"makeDate32(toYear({_TIME}), toMonth({_TIME}), 1)",
    "P3M": f"makeDate32(toYear({_TIME}), toQuarter({_TIME}) * 3 - 2, 1)",
    "P1Y": f"makeDate32(toYear({_TIME}), 1, 1)",
}


def _literal(
    cls: type[ClickHouseConnectEngineSpec],
    target_type: str,
    dttm: datetime,
    db_extra: dict[str, Any] | None = None,
) -> str | None:
    """Return a time as an SQL expression, to compare a column of this type with it."""
    kind = cls.get_sqla_column_type(target_type)
    if isinstance(kind, types.Date):
        return f"toDate32('{dttm.date().isoformat()}')"
    if isinstance(kind, types.DateTime):
        return f"toDateTime64('{dttm.isoformat(sep=' ', timespec='microseconds')}', 6)"
    return None


def install(app: Flask) -> None:
    """Replace the expressions of Superset's ClickHouse.

    Raises:
        RuntimeError: this Superset has other grains.
    """
    spec = ClickHouseConnectEngineSpec
    known = {grain for grain in spec.get_time_grain_expressions() if grain}
    if known != set(GRAINS):
        raise RuntimeError(f"Superset's time grains are {sorted(known)}: write each for wide dates.")
    app.config["TIME_GRAIN_ADDON_EXPRESSIONS"] = {spec.engine: GRAINS}
    spec.convert_dttm = classmethod(_literal)
