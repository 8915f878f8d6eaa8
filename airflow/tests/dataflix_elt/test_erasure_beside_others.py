"""An erasure does not run while others write to the warehouse, and killed processes do not block it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dataflix_elt import steps
from dataflix_elt.clients import postgres
from dataflix_elt.erasure.erase import PUBLICATION_LOCK, erase
from dataflix_elt.errors import BusyError, ErasureIncompleteError
from dataflix_elt.tables import table_named
from dataflix_elt.warehouse.staging_table import StagingTable

from ..support.engines import Engines
from ..support.trainer import fake_trainer

UNFINISHED = "analytics.dim_users__dbt_backup"


@pytest.fixture
def erased(engines: Engines) -> int:
    """A user who was loaded, and has asked to be forgotten."""
    ((user_id,),) = engines.sql(
        "INSERT INTO users (username, email) VALUES ('someone', 'someone@example.org') RETURNING user_id"
    )
    engines.load(table_named("users"))
    engines.sql(f"SELECT erase_user({user_id})")
    return int(user_id)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres._SESSION, "lock_timeout", "200ms")


def is_pending(engines: Engines, user_id: int) -> bool:
    return bool(engines.sql(f"SELECT 1 FROM erasures WHERE user_id = {user_id} AND verified_at IS NULL"))


@contextmanager
def publishing(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a publication wait for the trainer until the end of the block."""
    with fake_trainer() as trainer, monkeypatch.context() as patch:
        trainer.script = [("running", "")]
        environ = {
            **engines.source_server.environ,
            "DATAFLIX_TRAINER_PORT": str(trainer.port),
            "DATAFLIX_TRAINER_TOKEN": trainer.settings.token,
        }
        for name, value in environ.items():
            patch.setenv(name, value)
        thread = threading.Thread(target=lambda: steps.publish("1", run_id="meanwhile"))
        thread.start()
        try:
            while not trainer.jobs:
                assert thread.is_alive()
                thread.join(0.01)
            yield
        finally:
            for job in trainer.jobs.values():
                job["script"] = [("succeeded", "")]
            thread.join()


@pytest.mark.usefixtures("impatient")
def test_no_user_is_erased_while_lists_are_published_or_a_table_is_loaded(
    engines: Engines, erased: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(engines, monkeypatch), pytest.raises(BusyError, match=f"lock '{PUBLICATION_LOCK}'"):
        erase(engines.source, engines.warehouse, None)
    with postgres.session(engines.source) as load:
        load.advisory_lock("ratings")
        with pytest.raises(BusyError, match=r"lock 'ratings' .* Nothing was changed; try again"):
            erase(engines.source, engines.warehouse, None)

    assert is_pending(engines, erased)
    assert engines.query(f"SELECT count() FROM raw.users WHERE user_id = {erased}") == [(1,)]


@contextmanager
def building(engines: Engines, target: str, value: str) -> Iterator[None]:
    """Let dbt fill a table for ten minutes with a value that it has read, or until the end of the block."""
    client, query_id = engines.warehouse_server.client("dbt", autogenerate_session_id=False), uuid4().hex

    def fill() -> None:
        with suppress(DatabaseError):
            client.command(
                f'/* {{"app": "dbt"}} */ insert into {target} ("user_id")'
                f" SELECT {value} + sleepEachRow(1) FROM numbers(600) SETTINGS max_block_size = 1",
                settings={"query_id": query_id},
            )

    build = threading.Thread(target=fill)
    build.start()
    try:
        # The first row is this query.
        while not engines.query("SELECT 1 FROM system.processes WHERE query LIKE '%sleepEachRow%'")[1:]:
            assert build.is_alive()
        yield
    finally:
        engines.admin.command(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        build.join()


@pytest.mark.parametrize("name", ["`analytics`.`fct_first`", "analytics.fct_first"])
def test_the_first_build_of_a_model_is_refused_while_it_runs(
    engines: Engines, erased: int, name: str
) -> None:
    """It has no other table to take the place of, so dbt fills the table under its own name.

    It has read the user before the erasure begins, and nobody sees that before it ends.
    """
    engines.admin.command(f"CREATE TABLE {name} (user_id Int64) ENGINE = MergeTree ORDER BY user_id")
    user = f"(SELECT max(user_id) FROM raw.users WHERE user_id = {erased})"
    try:
        with (
            building(engines, name, user),
            pytest.raises(ErasureIncompleteError, match="dbt is filling fct_first"),
        ):
            erase(engines.source, engines.warehouse, None)
        assert is_pending(engines, erased)
        erase(engines.source, engines.warehouse, None)
        assert not is_pending(engines, erased)
        assert engines.query(f"SELECT count() FROM {name} WHERE user_id = {erased}") == [(0,)]
    finally:
        engines.admin.command(f"DROP TABLE {name} SYNC")


def test_a_running_build_of_dbt_is_refused_and_leftovers_of_killed_ones_are_no_obstacle(
    engines: Engines, erased: int
) -> None:
    # A load of users was killed while it filled its table, and so was a build.
    left = StagingTable("users", "staging", datetime.now(UTC), "d" * 12)
    engines.admin.command(f"CREATE TABLE raw.{left.name} AS raw.users")
    engines.admin.command(f"INSERT INTO raw.{left.name} SELECT * FROM raw.users")
    engines.admin.command(f"CREATE TABLE {UNFINISHED} (user_id Int64) ENGINE = MergeTree ORDER BY user_id")
    engines.admin.command(f"INSERT INTO {UNFINISHED} VALUES ({erased})")
    with (
        building(engines, UNFINISHED, "number"),
        pytest.raises(ErasureIncompleteError, match="dbt is filling dim_users__dbt_backup"),
    ):
        erase(engines.source, engines.warehouse, None)
    assert is_pending(engines, erased)
    try:
        erase(engines.source, engines.warehouse, None)

        assert not is_pending(engines, erased)
        assert engines.query(f"SELECT count() FROM {UNFINISHED} WHERE user_id = {erased}") == [(0,)]
        assert engines.query(f"SELECT count() FROM raw.users WHERE user_id = {erased}") == [(0,)]
        assert engines.query(f"SELECT name FROM system.tables WHERE name LIKE '%{left.owner}'") == []
    finally:
        engines.admin.command(f"DROP TABLE {UNFINISHED} SYNC")
