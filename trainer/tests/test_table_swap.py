"""A user who is erased while lists are made does not come back with the lists."""

from typing import Any

import pyarrow as pa
import pytest

from dataflix_trainer.data.table_swap import swap_table
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import DataError
from dataflix_trainer.promotion.recommendation_lists import find_erased_users
from dataflix_trainer.settings import ClickHouseSettings

TABLE = "analytics.recommendations_of_some"


def tables_of(services: Any) -> list[str]:
    """Return the table and its staging tables."""
    rows = services.sql(
        "SELECT database || '.' || name FROM system.tables"
        f" WHERE startsWith(database || '.' || name, '{TABLE}')"
    )
    return [str(name) for (name,) in rows]


def test_lists_of_an_erased_user_are_dropped_and_not_published(services: Any) -> None:
    services.sql(f"CREATE TABLE {TABLE} (user_id Int64) ENGINE = MergeTree ORDER BY user_id")
    services.sql(f"INSERT INTO {TABLE} VALUES (1)")
    erased = 9_999
    try:
        with Warehouse.connect(ClickHouseSettings.from_environ(services.environ)) as warehouse:

            def publish(*users: int) -> int:
                rows = pa.table({"user_id": pa.array(users, pa.int64())})
                return swap_table(
                    warehouse, TABLE, [rows], lambda staged: find_erased_users(warehouse, staged)
                )

            with pytest.raises(DataError, match="1 of the rows are of users who were erased"):
                publish(1, 2, erased)
            assert services.sql(f"SELECT user_id FROM {TABLE}") == [(1,)]
            assert tables_of(services) == [TABLE]
            assert publish(1, 2) == 2
        assert services.sql(f"SELECT count() FROM {TABLE}") == [(2,)]
    finally:
        for name in tables_of(services):
            services.sql(f"DROP TABLE {name} SYNC")
