"""Full loads: alone, concurrent, and with readers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pytest

from dataflix_elt.clients import postgres
from dataflix_elt.errors import BusyError, SupersededError
from dataflix_elt.loading.load import LoadResult
from dataflix_elt.source.snapshot import snapshot
from dataflix_elt.tables import TABLES, Table, table_named
from dataflix_testkit.long_mode import short_or_long

from ..support.engines import Engines


@pytest.fixture(scope="module")
def people(engines: Engines) -> None:
    engines.sql(
        """
        insert into users (username, email, first_name, last_name, city)
        select 'user' || i, 'user' || i || '@example.org', 'Jane', 'Doe', case i % 2 when 0 then 'Lyon' end
        from generate_series(1, 200) i;
        insert into movies (title, genres, release_year)
        select 'Movie ' || i, array['Drama', 'Sci-Fi'], 1900 + i from generate_series(1, 50) i;
        insert into ratings (user_id, movie_id, rating, liked)
        select user_id, movie_id, (user_id + movie_id) % 10 / 2.0 + 0.5, nullif(user_id % 3, 0) = 1
        from users, movies;
        insert into watched_movies (user_id, movie_id)
        select user_id, movie_id from users, movies where user_id % 2 = 0;
        insert into feedback (recommendation_id, movie_id, event, user_id, position, model_version, listed_at)
        select 'list' || user_id, movie_id, 'shown', case when user_id % 3 > 0 then user_id end,
            row_number() over (partition by user_id order by movie_id), '7', now()
        from users, movies where user_id % 5 = 0;
        insert into source.event_kinds (kind, entity, weight)
        values ('rented', 'events.0', 0.1), ('rated', 'events.1', null);
        insert into source.items (source_key, movie_id, attributes)
        select 'item ' || movie_id, movie_id, '{"colour": "é", "price": 1.50}' from movies;
        insert into interactions (user_id, movie_id, kind, events_count, first_at, last_at, rating, liked)
        select user_id, movie_id, kind, movie_id, '2024-01-01', now(),
            case kind when 'rated' then 3.5 end, case kind when 'rated' then user_id % 2 = 0 end
        from users, movies, source.event_kinds where user_id % 7 = 0
        """
    )


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_masked_table_is_loaded_in_full(engines: Engines, table: Table) -> None:
    result = engines.load(table, run_id="first 'run'", full=True)
    again = engines.load(table, run_id="second", full=True)

    (source,) = engines.sql(f"select count(*) from {table.source}")
    (found,) = engines.query(
        f"select count(), groupUniqArray(_run_id), max(_is_deleted) from raw.{table.name}"
    )
    assert found == (source[0], ["second"], 0)
    assert (again.kind, again.why, again.rows) == ("full", "requested", result.rows)
    assert again.version == result.version + 1
    assert engines.audits(table)[-2:] == [
        ("first 'run'", source[0], source[0], True),
        ("second", source[0], source[0], True),
    ]


@pytest.mark.usefixtures("people")
def test_the_warehouse_contains_no_name(engines: Engines) -> None:
    engines.load(table_named("users"))

    (row,) = engines.query("select * from raw.users limit 1")

    assert not [value for value in row if "Jane" in str(value) or "user1" in str(value) or "@" in str(value)]


def test_without_change_capture_each_load_is_full_and_logs_it(
    engines: Engines, numbers: tuple[Table, str], caplog: pytest.LogCaptureFixture
) -> None:
    table, base = numbers
    engines.load(table)
    engines.sql(f"delete from {base} where id <= 10; insert into {base} values (-1, 'new')")
    caplog.clear()

    with caplog.at_level("INFO"):
        result = engines.load(table)

    assert (result.kind, result.why) == ("full", "the source does not capture changes")
    assert result.rows == 991
    announced = [
        record for record in caplog.records if record.getMessage().startswith("changes_not_captured")
    ]
    assert [record.levelname for record in announced] == ["WARNING"]


def test_a_load_gives_up_if_another_session_holds_its_lock_for_long(
    engines: Engines, numbers: tuple[Table, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, _ = numbers
    monkeypatch.setitem(postgres._SESSION, "lock_timeout", "100ms")
    with snapshot(engines.source, table), pytest.raises(BusyError, match=table.name):
        engines.load(table)

    assert engines.load(table).rows == 1000


def test_an_empty_table_empties_its_copy(engines: Engines, numbers: tuple[Table, str]) -> None:
    table, base = numbers
    engines.load(table)
    engines.sql(f"truncate {base}")

    assert engines.load(table).rows == 0
    assert engines.query(f"select count() from raw.{table.name}") == [(0,)]


def test_a_reader_always_sees_one_whole_load(engines: Engines, numbers: tuple[Table, str]) -> None:
    table, base = numbers
    engines.load(table, run_id="1000")
    seen: list[tuple[Any, ...]] = []
    done = threading.Event()

    def read() -> None:
        client = engines.warehouse_server.client("dbt", autogenerate_session_id=False)
        while not done.is_set():
            query = f"select count(), uniqExact(id), groupUniqArray(_run_id) from raw.{table.name}"
            seen.append(tuple(client.query(query).result_rows[0]))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for size in range(1001, short_or_long(1004, 1009)):
                engines.sql(f"insert into {base} values ({size}, 'more')")
                engines.load(table, run_id=str(size))
        finally:
            done.set()
        for reader in readers:
            reader.result()

    # Every answer is whole, and is that of the run it names.
    assert [
        (rows, keys, runs) for rows, keys, runs in seen if not (rows == keys and runs == [str(rows)])
    ] == []
    assert len({answer[0] for answer in seen}) > 1


def test_four_loads_at_once_do_no_harm(engines: Engines, numbers: tuple[Table, str]) -> None:
    table, _ = numbers

    def load(_: int) -> LoadResult | SupersededError:
        try:
            # The same try of the same run, as if an orchestrator started a task twice.
            return engines.load(table, run_id="twin", attempt=1)
        except SupersededError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(load, range(4)))

    assert [outcome for outcome in outcomes if isinstance(outcome, LoadResult)]
    assert engines.query(f"select count(), uniqExact(id) from raw.{table.name}") == [(1000, 1000)]
    assert engines.side_tables(table, "staging") == []


def test_the_old_rows_are_kept_for_those_who_still_read_them(
    engines: Engines, numbers: tuple[Table, str]
) -> None:
    table, _ = numbers
    engines.load(table, run_id="old")
    engines.load(table, run_id="new")

    retired = engines.side_tables(table, "retired")

    assert sorted(engines.query(f"select count() from raw.{name}")[0][0] for name in retired) == [0, 1000]


def test_the_swapped_in_table_is_defined_like_the_one_before(
    engines: Engines, numbers: tuple[Table, str]
) -> None:
    table, _ = numbers
    before = engines.query(f"describe table raw.{table.name}")

    engines.load(table)

    assert engines.query(f"describe table raw.{table.name}") == before


def test_the_result_is_plain_data(engines: Engines, numbers: tuple[Table, str]) -> None:
    result = asdict(engines.load(numbers[0], run_id="r"))

    assert result["rows"] == 1000
    assert {type(value) for value in result.values()} <= {str, int, float}


def test_a_new_column_is_loaded_and_logged(
    engines: Engines, numbers: tuple[Table, str], caplog: pytest.LogCaptureFixture
) -> None:
    numbers_table, base = numbers
    engines.replace_view(numbers_table, f"select *, 'new' as mood from {base}")

    with caplog.at_level("INFO"):
        assert engines.load(numbers_table).rows == 1000

    announced = [record.getMessage() for record in caplog.records if "columns=mood" in record.getMessage()]
    assert [message.split()[0] for message in announced] == ["columns_added"]
    assert engines.query(f"select mood, count() from raw.{numbers_table.name} group by mood") == [
        ("new", 1000)
    ]
