"""The wall clocks of Postgres and of the loader jump between loads: every change is loaded."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from dataflix_testkit import clickhouse, postgres
from dataflix_testkit.clock import Clock, movable_clock

from ..support.engines import Engines

ELT = str(Path(sys.executable).with_name("elt"))
JUMPS = [timedelta(days=days) for days in (3653, -3653, -1, 1 / 24, 0)]

SETTING_UP = """
insert into users (username, email) select 'u' || i, 'u' || i || '@example.org' from generate_series(1, 9) i;
insert into ratings (user_id, movie_id, rating)
select user_id, movie_id, 3.0 from users, (select movie_id from movies order by movie_id limit 20) m
"""
# The defaults of the columns and the trigger of updated_at use now().
CHANGES = (
    "update ratings set rating = case when rating = 3 then 4 else 3 end where movie_id % 2 = {step} % 2",
    "delete from ratings where (user_id, movie_id) = (select user_id, movie_id from ratings limit 1)",
    "insert into ratings (user_id, movie_id, rating)"
    " select 1, movie_id, 5.0 from movies order by movie_id desc offset {step} limit 1",
)
SOURCE = "select user_id, movie_id, rating::float8, extract(epoch from rated_at)::bigint from ratings"
COPY = "select user_id, movie_id, toFloat64(rating), toUnixTimestamp64Second(rated_at) from raw.ratings final"


def load(engines: Engines, clock: Clock) -> dict[str, Any]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DATAFLIX_")},
        **engines.source_server.environ,
        **engines.warehouse_server.environ,
        **clock.environ,
    }
    done = subprocess.run(
        [ELT, "load", "--table", "ratings"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_jumping_clocks_lose_no_change(tmp_path: Path) -> None:
    clock = movable_clock(tmp_path)
    with postgres(extra_environ=clock.environ) as source, clickhouse() as warehouse:
        engines = Engines(source, warehouse)
        engines.sql(SETTING_UP)
        versions = [load(engines, clock)["version"]]
        for step, jump in enumerate(JUMPS):
            clock.jump(jump)
            ((ahead,),) = engines.sql("select extract(epoch from now())::bigint")
            assert abs(ahead - clock.now().timestamp()) < 3600 / 2
            for statement in CHANGES:
                engines.sql(statement.format(step=step))
            result = load(engines, clock)
            assert result["kind"] == "incremental"
            assert result["seconds"] >= 0
            assert sorted(engines.sql(SOURCE)) == sorted(engines.query(COPY))
            versions.append(result["version"])
        assert versions == sorted(set(versions))
        # The latest cursor is the one of the last load, whatever the clocks showed.
        cursor = "select version from raw.load_cursors final where table_name = 'ratings'"
        assert engines.query(cursor) == [(versions[-1],)]
