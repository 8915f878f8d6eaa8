"""A bad row stops the build at a test, and the tables that readers see do not change."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from .support import raw, small
from .support.warehouse import RAW_TABLES, Built, Result, Warehouse

MATRIX_TEST = "assert_matrix_weights_match_definition"
READ_BY_THE_TRAINER = ("user_item_matrix", "confidence_weights", "ratings_aggregated", "trending_movies")
AFTER_THE_EVENTS = {"int_user_movie_events", "dim_users", "fct_ratings", "fct_watches", "user_item_matrix"}


@contextmanager
def _nothing_published(built: Built) -> Iterator[None]:
    """Check that the block does not change the marts."""

    def marts() -> list[Any]:
        return [
            sorted(built.warehouse.rows(f"SELECT * FROM analytics.{mart}")) for mart in READ_BY_THE_TRAINER
        ]

    before = marts()
    yield
    assert marts() == before


@contextmanager
def _other(built: Built, table: str, definition: str) -> Iterator[str]:
    """Replace ``table`` by a new one for the time of the block; yield the name of the old one."""
    other = f"{table}_other"
    built.warehouse.command(f"CREATE TABLE {other} AS {table} {definition}")
    built.warehouse.command(f"EXCHANGE TABLES {other} AND {table}")
    try:
        yield other
    finally:
        built.warehouse.command(f"EXCHANGE TABLES {other} AND {table}")
        built.warehouse.command(f"DROP TABLE {other}")


def _build(built: Built, *words: str) -> Result:
    return built.warehouse.dbt("build", "--exclude-resource-type", "unit_test", *words)


def test_rating_off_the_scale_stops_the_build(built: Built) -> None:
    bad = {(1, 1): 7.0, (1, 2): float("nan"), (1, 3): 3.3}
    built.warehouse.insert("ratings", [raw.rating(*key, stars, _version=10) for key, stars in bad.items()])
    try:
        with _nothing_published(built):
            result = _build(built, "--select", "stg_ratings+")
    finally:
        deleted = [
            raw.rating(*key, 0.5, _version=11, _is_deleted=1)
            for key in bad
            if key not in built.source.ratings
        ]
        restored = [
            small.rating_row(k, built.source.ratings[k], _version=11)
            for k in bad
            if k in built.source.ratings
        ]
        built.warehouse.insert("ratings", [*deleted, *restored])
    assert result.exit_code == 1
    failed = {name: result.failures[name] for name in result.named("fail")}
    assert failed == {"stg_ratings_rating_is_on_the_scale": 2, "stg_ratings_rating_is_a_whole_step": 2}
    assert result.named("skipped") >= AFTER_THE_EVENTS


def test_duplicate_key_and_blank_title_stop_the_build(built: Built) -> None:
    # A wrong sort key leaves a changed row next to its older version.
    with _other(built, "raw.movies", "ORDER BY (movie_id, title)"):
        built.warehouse.insert("movies", [raw.movie(1), raw.movie(1, title=" ", _version=10), raw.movie(2)])
        with _nothing_published(built):
            result = _build(built, "--select", "stg_movies+")
    assert result.exit_code == 1
    assert result.named("fail") == {"unique_stg_movies_movie_id", "stg_movies_title_is_not_blank"}
    assert result.named("skipped") >= {"dim_movies", "ratings_aggregated"} | AFTER_THE_EVENTS


def test_unmasked_person_stops_the_build(built: Built) -> None:
    bare = {
        "username_hash": "ada",
        "email_hash": "ada@example.org",
        "first_name": "Ada",
        "last_name": "Byron",
    }
    built.warehouse.insert("users", [raw.user(40, **bare, _version=10)])
    try:
        with _nothing_published(built):
            result = _build(built, "--select", "stg_users+")
    finally:
        built.warehouse.insert("users", [raw.user(40, _version=11)])
    assert result.exit_code == 1
    columns = ("username_is_hashed", "email_is_hashed", "first_name_is_masked", "last_name_is_masked")
    assert result.named("fail") == {f"stg_users_{column}" for column in columns}
    assert result.named("skipped") >= AFTER_THE_EVENTS
    assert "Byron" not in result.output
    assert "example.org" not in result.output


def test_matrix_that_differs_from_the_definition_is_reported_by_user(built: Built) -> None:
    users = sorted({user for user, _ in built.warehouse.table("user_item_matrix", "user_id", "movie_id")})
    heavier, zero, later, missing = users[:4]
    unknown = users[-1] + 1
    wrong = (
        "SELECT * REPLACE ("
        f"multiIf(user_id = {heavier}, 9, user_id = {zero}, 0, weight) AS weight, "
        f"if(user_id = {later}, last_event_at + toIntervalSecond(1), last_event_at) AS last_event_at, "
        f"if(user_id = {missing}, {unknown}, user_id) AS user_id)"
    )
    with _other(built, "analytics.user_item_matrix", "") as right:
        assert _users_with_wrong_entries(built, right, "SELECT *") == set()
        assert _users_with_wrong_entries(built, right, wrong) == {
            *((user, user) for user in (heavier, zero, later)),
            *((missing, None), (None, unknown)),
        }
        result = built.warehouse.dbt("test", "--select", MATRIX_TEST)
    assert result.failures[MATRIX_TEST] == 5


def _users_with_wrong_entries(built: Built, right: str, select: str) -> set[tuple[int | None, int | None]]:
    """Fill the matrix from ``right`` and return expected and actual user of each row that the test finds."""
    built.warehouse.command("TRUNCATE TABLE analytics.user_item_matrix")
    built.warehouse.command(f"INSERT INTO analytics.user_item_matrix {select} FROM {right}")
    test = built.warehouse.compiled_test(MATRIX_TEST)
    return {(row[0], row[2]) for row in built.warehouse.rows(f"{test}, join_use_nulls = 1")}


def test_weight_of_zero_stops_the_build(empty: Warehouse) -> None:
    zero = ("--vars", "{confidence_watched_weight: 0}")
    words = ("--exclude-resource-type", "unit_test", "--select", "+confidence_weights+")
    result = empty.dbt("build", *words, *zero)
    assert result.exit_code == 1
    assert result.named("fail") == {"confidence_weights_are_finite_and_not_zero"}
    assert "user_item_matrix" in result.named("skipped")
    assert empty.rows("EXISTS TABLE analytics.user_item_matrix") == [(0,)]


def test_source_without_a_recent_load_is_stale(built: Built) -> None:
    freshness = ("source", "freshness", "--select", "source:raw")
    now = datetime.now(UTC)
    two_days_ago = now - timedelta(hours=51)
    built.warehouse.command("TRUNCATE TABLE raw.load_audit")
    # A failed load of movies does not count, nor does a load of another table.
    others = [raw.audit(table, now) for table in RAW_TABLES if table != "movies"]
    failed = raw.audit("movies", now, matches=False)
    built.warehouse.insert("load_audit", [*others, failed, raw.audit("movies", two_days_ago)])
    stale = built.warehouse.dbt(*freshness)
    assert stale.exit_code == 1
    assert "ERROR STALE freshness of raw.movies" in stale.output
    # A load counts even if it found no new row.
    built.warehouse.insert("load_audit", [raw.audit("movies", two_days_ago + timedelta(days=1))])
    late = built.warehouse.dbt(*freshness)
    assert late.exit_code == 0, late.output
    assert "WARN freshness of raw.movies" in late.output
    results = built.warehouse.artifact("sources.json")["results"]
    statuses = {row["unique_id"].rpartition(".")[2]: row["status"] for row in results}
    assert statuses == {table: "warn" if table == "movies" else "pass" for table in RAW_TABLES}


def test_empty_warehouse_builds(empty: Warehouse) -> None:
    result = empty.dbt("build", "--exclude-resource-type", "unit_test")
    assert result.exit_code == 0, result.output
    assert empty.rows("SELECT count() FROM analytics.user_item_matrix") == [(0,)]
    assert empty.rows("SELECT count() FROM analytics.confidence_weights") == [(31,)]
