"""Hides what fewer than five people share of where and when they were born, once others of them are erased.

dbt shows state, country and age band of at least five people. An erasure takes people away long after the
build, and readers would see who is left. The next build counts again, and shows what it may.
"""

from dataflix_elt.clients.clickhouse import Session
from dataflix_elt.erasure import id_tables
from dataflix_elt.erasure.pending_deletes import ANALYTICS

# As dbt's macro min_group_size; a test compares both.
MIN_GROUP_SIZE = 5
# Readers see this table, its views, and while dbt swaps it the former one under a name that begins like it.
PREFIX = "dim_users"
_SHOWN = ("country", "state", "age_band")
_GROUP = ", ".join(f"ifNull({column}, '')" for column in _SHOWN)
_HIDDEN = f"({_GROUP}) = ('', '', '')"


def hide_small_groups(target: Session, name: str, erased: str) -> None:
    """Hide the groups of a table that the erased people leave with fewer than five members.

    Those who show nothing are a group, too: the smallest other one joins them if they are fewer than five.
    The statements name no value: ClickHouse keeps them.

    Args:
        target: the warehouse.
        name: of a table in `analytics`.
        erased: condition for the rows that will be removed.
    """
    ((columns,),) = target.query(
        "SELECT count() FROM system.columns"
        " WHERE database = {analytics:String} AND table = {name:String} AND has({shown:Array(String)}, name)",
        analytics=ANALYTICS,
        name=name,
        shown=list(_SHOWN),
    )
    if columns < len(_SHOWN):
        return
    path = f"{ANALYTICS}.{name}"
    left = f"countIf(NOT ({erased}))"
    groups = f"SELECT {_GROUP} FROM {path} WHERE NOT ({_HIDDEN}) GROUP BY {_GROUP}"  # noqa: S608
    _hide(target, path, f"{groups} HAVING {left} < {MIN_GROUP_SIZE}")
    ((hidden,),) = target.query(f"SELECT {left} FROM {path} WHERE {_HIDDEN}")  # noqa: S608
    if 0 < hidden < MIN_GROUP_SIZE:
        _hide(target, path, f"{groups} ORDER BY {left}, {_GROUP} LIMIT 1")


def _hide(target: Session, path: str, groups: str) -> None:
    ids = target.query(f"SELECT user_id FROM {path} WHERE ({_GROUP}) IN ({groups})")  # noqa: S608
    if not ids:
        return
    nothing = ", ".join(f"{column} = NULL" for column in _SHOWN)
    # An account may change rows by what tables of raw say, and by no others.
    with id_tables.table(target, {"hidden": "Int64"}, ids) as hidden:
        target.command(
            f"ALTER TABLE {path} UPDATE {nothing} WHERE user_id IN (SELECT hidden FROM {hidden})"  # noqa: S608
            " SETTINGS mutations_sync = 2"
        )
