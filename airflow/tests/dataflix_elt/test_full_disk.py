"""A warehouse with a full disk refuses the load, keeps what it has, and works again once there is space."""

from pathlib import Path

import pytest

from dataflix_elt.errors import EltError
from dataflix_elt.loading.load import load
from dataflix_elt.settings import WarehouseSettings
from dataflix_elt.tables import table_named
from dataflix_testkit import clickhouse, fill_disk, small_disk

from ..support.engines import Engines

DISK_MB = 160
# Enough space for the engine's own small files, and none for the load.
LEFT = 4 << 20
TITLES = """
    insert into movies (title)
    select (select string_agg(md5(i::text || j), '') from generate_series(1, 12) j)
    from generate_series(1, 60000) i
"""


def test_a_full_disk_refuses_a_load_and_keeps_the_old_rows(engines: Engines, tmp_path: Path) -> None:
    table = table_named("movies")
    with small_disk(tmp_path / "disk", megabytes=DISK_MB) as disk, clickhouse(disk / "data") as server:
        settings = WarehouseSettings.from_environ(server.environ)
        client = server.client("dataflix_admin")
        before = load(table, run_id="before", source_settings=engines.source, warehouse_settings=settings)
        ballast = fill_disk(disk, left=LEFT)
        engines.sql(TITLES)
        try:
            with pytest.raises(EltError, match="not enough space"):
                load(table, run_id="full", source_settings=engines.source, warehouse_settings=settings)
            count = "select count() from raw.movies final"
            assert client.query(count).result_rows == [(before.rows,)]

            ballast.unlink()
            again = load(table, run_id="again", source_settings=engines.source, warehouse_settings=settings)
            assert again.rows == before.rows + 60000
            assert client.query(count).result_rows == [(again.rows,)]
        finally:
            engines.sql("delete from movies where length(title) = 384")
