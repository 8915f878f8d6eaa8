"""Erasures that are tried again, and people who come back before they are erased."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflix_elt.erasure.erase import ErasureResult, erase
from dataflix_elt.errors import ErasureIncompleteError
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.tables import TABLES, table_named
from dataflix_testkit import clickhouse, postgres
from dataflix_testkit.long_mode import only_long

from ..support.engines import Engines
from ..support.kills import erase_and_kill

MARTS = {
    "dim_users": "SELECT user_id, username_hash, email_hash FROM raw.users FINAL",
    "fct_ratings": "SELECT user_id, movie_id, rating FROM raw.ratings FINAL",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse") / "data"


@pytest.fixture(scope="module")
def engines(data: Path) -> Iterator[Engines]:
    with postgres() as source, clickhouse(data) as warehouse:
        engines = Engines(source, warehouse)
        engines.sql(
            "INSERT INTO movies (movie_id, title) SELECT i, 'Movie ' || i FROM generate_series(1, 9) i"
        )
        yield engines


@pytest.fixture(autouse=True)
def nothing_pending(engines: Engines) -> Iterator[None]:
    yield
    if engines.sql("SELECT 1 FROM erasures WHERE verified_at IS NULL LIMIT 1"):
        run(engines, None)


def add(engines: Engines, user_id: int, name: str, *movies: int) -> None:
    """Add a user with ratings and feedback."""
    engines.sql(_added(user_id, name, *movies))


def _added(user_id: int, name: str, *movies: int) -> str:
    values = ", ".join(f"({user_id}, {movie}, 4)" for movie in movies)
    events = ", ".join(f"('list of {name}', {movie}, 'shown', {user_id}, 1, '1', now())" for movie in movies)
    return (
        f"INSERT INTO users (user_id, username, email) VALUES ({user_id}, '{name}', '{name}@example.org');"
        f" INSERT INTO ratings (user_id, movie_id, rating) VALUES {values};"
        " INSERT INTO feedback"
        " (recommendation_id, movie_id, event, user_id, position, model_version, listed_at)"
        f" VALUES {events}"
    )


def load(engines: Engines) -> None:
    """Load the tables that `add` fills, and compare all rows."""
    for name in ("users", "ratings", "feedback"):
        engines.load(table_named(name), verify=Verify.CONTENT)


def build(engines: Engines) -> None:
    """Build the marts again, as dbt does, in another second: ClickHouse keeps their age in seconds."""
    time.sleep(1.1)
    for name, query in MARTS.items():
        engines.admin.command(f"DROP TABLE IF EXISTS analytics.{name} SYNC")
        engines.admin.command(f"CREATE TABLE analytics.{name} ENGINE = MergeTree ORDER BY user_id AS {query}")


def run(engines: Engines, data: Path | None) -> ErasureResult:
    return erase(engines.source, engines.warehouse, data)


def pseudonyms(engines: Engines, user_id: int) -> tuple[str, ...]:
    (row,) = engines.sql(f"SELECT username_hash, email_hash FROM masked.users WHERE user_id = {user_id}")
    return row


def ratings(engines: Engines, user_id: int, table: str = "raw.ratings FINAL") -> list[int]:
    return [
        movie
        for (movie,) in engines.query(f"SELECT movie_id FROM {table} WHERE user_id = {user_id} ORDER BY 1")
    ]


def hashes(engines: Engines, user_id: int, table: str = "raw.users") -> set[str]:
    """Return the pseudonyms of all versions of a user's rows."""
    rows = engines.query(f"SELECT username_hash, email_hash FROM {table} WHERE user_id = {user_id}")
    return {text for row in rows for text in row}


def freeze(engines: Engines) -> None:
    engines.admin.command("ALTER TABLE raw.users FREEZE WITH NAME 'kept'")


def unfreeze(data: Path) -> None:
    shutil.rmtree(data / "shadow")


def test_a_second_try_finds_what_the_first_one_found(engines: Engines, data: Path) -> None:
    add(engines, 10, "frozen", 1, 2)
    load(engines)
    freeze(engines)
    engines.sql("SELECT erase_user(10)")
    try:
        for _ in range(2):
            with pytest.raises(ErasureIncompleteError, match=r"contain pseudonyms.*shadow"):
                run(engines, data)
            assert engines.query("SELECT count() FROM raw.users WHERE user_id = 10") == [(0,)]
    finally:
        unfreeze(data)

    assert len(run(engines, data).erasures) == 1
    assert engines.sql("SELECT count(*) FROM pii.former_pseudonyms WHERE user_id = 10") == [(0,)]


@pytest.mark.parametrize("when", [pytest.param("before", marks=only_long), "after"])
def test_a_try_that_was_killed_or_gave_up_is_finished_by_the_next_one(engines: Engines, when: str) -> None:
    """Nothing is verified while a part with the person's rows is on the disk, whoever removed the rows."""
    user = {"before": 70, "after": 71}[when]
    add(engines, user, f"killed-{when}", 1, 2)
    # So many rows that a slow query holds the parts until all tries are done.
    engines.sql(
        "INSERT INTO users (user_id, username, email)"
        " SELECT i, 'many-' || i, 'many-' || i || '@example.org' FROM generate_series(1001, 1100) AS i"
        " ON CONFLICT DO NOTHING;"
        " INSERT INTO ratings (user_id, movie_id, rating)"
        " SELECT i, m, 4 FROM generate_series(1001, 1100) AS i, generate_series(1, 9) AS m"
        " ON CONFLICT DO NOTHING"
    )
    load(engines)
    engines.sql(f"SELECT erase_user({user})")
    with engines.being_read("raw.ratings"):
        assert erase_and_kill(engines.source, engines.warehouse, "ALTER TABLE raw.ratings DELETE", when)
        for _ in range(2):
            with pytest.raises(ErasureIncompleteError, match="still on ClickHouse's disk"):
                erase(engines.source, engines.warehouse, None, wait_s=0)
    assert len(run(engines, None).erasures) == 1
    assert ratings(engines, user, "raw.ratings") == []
    assert engines.query("SELECT name FROM system.tables WHERE engine_full LIKE '%old_parts_lifetime%'") == []


@pytest.mark.parametrize("changed", [False, True], ids=["replaced by a load", "address changed before"])
def test_a_load_between_deletion_and_erasure_hides_nothing(
    engines: Engines, data: Path, changed: bool
) -> None:
    add(engines, 11, "loaded", 1)
    load(engines)
    freeze(engines)
    if changed:
        engines.sql("UPDATE users SET username = 'renamed', email = 'new@example.org' WHERE user_id = 11")
    engines.sql("DELETE FROM users WHERE user_id = 11")
    for table in TABLES:
        engines.load(table, full=True)
    try:
        with pytest.raises(ErasureIncompleteError, match=r"contain pseudonyms.*shadow"):
            run(engines, data)
    finally:
        unfreeze(data)

    assert len(run(engines, data).erasures) == 1


def test_to_search_for_nothing_is_a_failure(engines: Engines, data: Path) -> None:
    add(engines, 12, "unknown", 1)
    engines.sql("DELETE FROM users WHERE user_id = 12; DELETE FROM pii.former_pseudonyms WHERE user_id = 12")

    with pytest.raises(ErasureIncompleteError, match=r"Nothing says which pseudonyms.*--without-search"):
        run(engines, data)
    assert engines.sql("SELECT verified_at FROM erasures WHERE user_id = 12") == [(None,)]
    assert run(engines, None).scanned_bytes is None


@pytest.mark.parametrize("kind", ["empty", "another", "half"])
def test_to_search_another_folder_is_a_failure(
    engines: Engines, data: Path, kind: str, tmp_path: Path
) -> None:
    add(engines, 13, "elsewhere", 1)
    load(engines)
    freeze(engines)
    engines.sql("SELECT erase_user(13)")
    if kind == "another":
        (tmp_path / "file").write_text("something else")
    if kind == "half":
        # As on a machine where the tables' files are on a disk of their own: links are not followed.
        (tmp_path / "metadata").mkdir()
        (tmp_path / "metadata" / "raw.sql").write_text("ATTACH DATABASE raw")
        (tmp_path / "store").symlink_to(data / "store")
    try:
        with pytest.raises(ErasureIncompleteError, match=r"of the \d+ parts .*DATAFLIX_CLICKHOUSE_DATA_DIR"):
            run(engines, tmp_path)
    finally:
        unfreeze(data)
    assert engines.sql("SELECT verified_at FROM erasures WHERE user_id = 13") == [(None,)]


@pytest.mark.parametrize(
    ("between", "at_once", "name"),
    [
        ("", False, "first"),
        ("load and build", True, "second"),
        pytest.param("load", False, "second", marks=only_long),
        pytest.param("load and build", False, "first", marks=only_long),
        pytest.param("", True, "second", marks=only_long),
    ],
)
def test_a_user_with_the_id_of_an_erased_one_stays(
    engines: Engines, data: Path, between: str, at_once: bool, name: str
) -> None:
    user = 20
    add(engines, user, "first", 1, 2, 3)
    load(engines)
    build(engines)
    dead = set(pseudonyms(engines, user))

    delete, put_back = f"DELETE FROM users WHERE user_id = {user}", _added(user, name, 2, 4, 5)
    if at_once:
        engines.sql(f"BEGIN; {delete}; {put_back}; COMMIT")
    else:
        engines.sql(delete)
        engines.sql(put_back)
    if between:
        load(engines)
        # The new user's own deletions; one has been loaded, and the other has not.
        engines.sql(f"DELETE FROM ratings WHERE (user_id, movie_id) = ({user}, 5)")
        load(engines)
        engines.sql(f"DELETE FROM ratings WHERE (user_id, movie_id) = ({user}, 4)")
    if between == "load and build":
        build(engines)
    done = run(engines, data)

    assert len(done.erasures) == 1
    living = set(pseudonyms(engines, user))
    if between:
        assert ratings(engines, user) == [2, 4]
        assert hashes(engines, user) == living
    if between == "load and build":
        assert hashes(engines, user, "analytics.dim_users") == living
        assert ratings(engines, user, "analytics.fct_ratings") == [2, 4]
    else:
        assert hashes(engines, user, "analytics.dim_users") == set()
        assert ratings(engines, user, "analytics.fct_ratings") == []
    load(engines)
    assert ratings(engines, user) == ([2] if between else [2, 4, 5])
    assert hashes(engines, user) == living
    assert (living == dead) == (name == "first")
    engines.sql(delete)
    assert len(run(engines, data).erasures) == 1
    load(engines)
    assert ratings(engines, user) == []


def test_rows_of_the_erased_do_not_stay_because_the_loaders_clock_is_behind(
    engines: Engines, data: Path
) -> None:
    """Tables that were built of the erased user's rows look newer than the load of the new user's."""
    add(engines, 21, "earlier", 1)
    load(engines)
    build(engines)
    # ClickHouse keeps the tables' age in seconds.
    time.sleep(1.1)
    engines.sql(f"DELETE FROM users WHERE user_id = 21; {_added(21, 'later', 2)}")
    load(engines)
    engines.admin.command(
        "ALTER TABLE raw.users UPDATE _extracted_at = _extracted_at - toIntervalDay(1) WHERE 1"
        " SETTINGS mutations_sync = 2"
    )

    assert len(run(engines, data).erasures) == 1

    assert ratings(engines, 21, "analytics.fct_ratings") == []
    assert ratings(engines, 21) == [2]


def test_rows_of_the_erased_do_not_stay_because_a_killed_try_has_changed_their_table(
    engines: Engines,
) -> None:
    """The table then looks newer than the load of the new user's rows, and has the erased user's."""
    add(engines, 22, "before", 1)
    load(engines)
    build(engines)
    # ClickHouse keeps the tables' age in seconds.
    time.sleep(1.1)
    engines.sql(f"DELETE FROM users WHERE user_id = 22; {_added(22, 'behind', 2)}")
    for table in TABLES:
        engines.load(table)
    time.sleep(1.1)
    command = "ALTER TABLE analytics.fct_ratings DELETE"
    assert erase_and_kill(engines.source, engines.warehouse, command, "before")

    assert len(run(engines, None).erasures) == 1

    assert ratings(engines, 22, "analytics.fct_ratings") == []
    assert ratings(engines, 22) == [2]


def test_a_username_that_signs_up_again_does_not_stop_the_erasure(engines: Engines, data: Path) -> None:
    add(engines, 30, "again", 1)
    load(engines)
    engines.sql("SELECT erase_user(30)")
    add(engines, 31, "again", 2)
    load(engines)

    freeze(engines)
    try:
        with pytest.raises(ErasureIncompleteError, match=r"contain pseudonyms.*shadow"):
            run(engines, data)
    finally:
        unfreeze(data)
    done = run(engines, data)

    assert len(done.erasures) == 1
    assert done.scanned_bytes
    assert hashes(engines, 31) == set(pseudonyms(engines, 31))
    assert hashes(engines, 30) == set()


def test_deletions_of_an_erased_users_feedback_are_removed_on_both_sides(
    engines: Engines, data: Path
) -> None:
    add(engines, 40, "listed", 1, 2, 3)
    add(engines, 41, "neighbour", 1)
    load(engines)
    # Lost before, in other transactions: one is loaded, the other is not.
    engines.sql("DELETE FROM feedback WHERE user_id = 40 AND movie_id = 3")
    load(engines)
    engines.sql("DELETE FROM feedback WHERE user_id = 40 AND movie_id = 2")
    engines.sql("SELECT erase_user(40)")
    engines.sql("DELETE FROM feedback WHERE user_id = 41")
    load(engines)
    tombstones = "SELECT DISTINCT recommendation_id FROM raw.feedback"
    keys = "SELECT DISTINCT row_key[1] FROM capture.deletions WHERE table_name = 'feedback'"
    assert ("list of listed",) in engines.query(tombstones)

    run(engines, data)

    assert ("list of listed",) not in engines.query(tombstones)
    assert ("list of listed",) not in engines.sql(keys)
    assert ("list of neighbour",) in engines.sql(keys)
    load(engines)
    assert engines.query("SELECT DISTINCT user_id FROM raw.feedback FINAL WHERE user_id IN (40, 41)") == []


def test_deletions_of_feedback_that_no_load_has_seen_are_not_missed(engines: Engines, data: Path) -> None:
    add(engines, 42, "unseen", 1)
    add(engines, 43, "other", 1)
    load(engines)
    engines.sql("DELETE FROM feedback WHERE user_id IN (42, 43)")
    # Comes back, and stays.
    engines.sql("INSERT INTO feedback VALUES ('list of other', 1, 'shown', 43, 1, '1', now())")
    engines.sql("SELECT erase_user(42)")
    # No load in between: the deletions leave the list before one has read them.
    run(engines, data)
    assert engines.sql("SELECT * FROM capture.deletions WHERE row_key[1] = 'list of unseen'") == []

    assert engines.load(table_named("feedback"), verify=Verify.CONTENT).kind == "incremental"
    left = "SELECT DISTINCT user_id FROM raw.feedback FINAL WHERE user_id IN (42, 43)"
    assert engines.query(left) == [(43,)]


def test_feedback_of_two_users_who_had_one_id_leaves_no_key(engines: Engines, data: Path) -> None:
    add(engines, 44, "before", 1)
    load(engines)
    engines.sql("SELECT erase_user(44)")
    add(engines, 44, "afterwards", 2)
    load(engines)
    engines.sql("SELECT erase_user(44)")
    load(engines)

    assert len(run(engines, data).erasures) == 1

    for name in ("before", "afterwards"):
        assert engines.query(f"SELECT 1 FROM raw.feedback WHERE recommendation_id = 'list of {name}'") == []
        assert engines.sql(f"SELECT 1 FROM capture.deletions WHERE row_key[1] = 'list of {name}'") == []
    load(engines)


@pytest.mark.parametrize("again", [False, True], ids=["another user", "the same number"])
def test_a_username_that_somebody_had_before_blocks_no_erasure(
    engines: Engines, data: Path, again: bool
) -> None:
    """Who gave it up has it still in an older version of their row."""
    user_id, name = (32, "came_back") if again else (30, "passed_on")
    add(engines, user_id, name, 1)
    if again:
        load(engines)
        engines.sql(f"SELECT erase_user({user_id}); {_added(user_id, name, 2)}")
    load(engines)
    left = f"left_{user_id}"
    engines.sql(
        f"UPDATE users SET username = '{left}', email = '{left}@example.org' WHERE user_id = {user_id}"
    )
    if not again:
        add(engines, 33, name, 2)
    load(engines)
    if not again:
        engines.sql("SELECT erase_user(33)")

    assert len(run(engines, data).erasures) == 1
