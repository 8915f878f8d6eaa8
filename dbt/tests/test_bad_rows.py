"""A bad row stops the build at the test that names it, and leaves what readers see as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from .support import raw, small
from .support.warehouse import Built, Result, Warehouse

READ_BY_THE_TRAINER = ("user_item_matrix", "confidence_weights", "ratings_aggregated", "trending_movies")
BEHIND_THE_EVENTS = {"int_user_movie_events", "dim_users", "fct_ratings", "fct_watches", "user_item_matrix"}


@contextmanager
def _nothing_published(built: Built) -> Iterator[None]:
    """Check that the marts are the same after the block as before."""

    def marts() -> list[Any]:
        return [
            sorted(built.warehouse.rows(f"SELECT * FROM analytics.{mart}")) for mart in READ_BY_THE_TRAINER
        ]

    before = marts()
    yield
    assert marts() == before


@contextmanager
def _other(built: Built, table: str, definition: str) -> Iterator[str]:
    """Put another table, whose name is yielded, in the place of ``table`` for the time of the block."""
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
        gone = [
            raw.rating(*key, 0.5, _version=11, _is_deleted=1)
            for key in bad
            if key not in built.source.ratings
        ]
        back = [
            small.rating_row(k, built.source.ratings[k], _version=11)
            for k in bad
            if k in built.source.ratings
        ]
        built.warehouse.insert("ratings", [*gone, *back])
    assert result.exit_code == 1
    failed = {name: result.failures[name] for name in result.named("fail")}
    assert failed == {"stg_ratings_rating_is_on_the_scale": 2, "stg_ratings_rating_is_a_whole_step": 2}
    assert result.named("skipped") >= BEHIND_THE_EVENTS


def test_key_that_occurs_twice_and_blank_title_stop_the_build(built: Built) -> None:
    # What a wrong sort key does: a changed row stands beside its older self.
    with _other(built, "raw.movies", "ORDER BY (movie_id, title)"):
        built.warehouse.insert("movies", [raw.movie(1), raw.movie(1, title=" ", _version=10), raw.movie(2)])
        with _nothing_published(built):
            result = _build(built, "--select", "stg_movies+")
    assert result.exit_code == 1
    assert result.named("fail") == {"unique_stg_movies_movie_id", "stg_movies_title_is_not_blank"}
    assert result.named("skipped") >= {"dim_movies", "ratings_aggregated"} | BEHIND_THE_EVENTS


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
    assert result.named("skipped") >= BEHIND_THE_EVENTS
    assert "Byron" not in result.output
    assert "example.org" not in result.output


def test_matrix_that_is_not_as_defined_is_told_of_by_user(built: Built) -> None:
    users = sorted({user for user, _ in built.warehouse.table("user_item_matrix", "user_id", "movie_id")})
    heavier, unseen, later, missing = users[:4]
    stranger = users[-1] + 1
    with _other(built, "analytics.user_item_matrix", "") as right:
        assert _matrix_test(built, right, "SELECT *") == 0
        assert (
            _matrix_test(built, right, f"SELECT * REPLACE (if(user_id = {heavier}, 9, weight) AS weight)")
            == 1
        )
        assert (
            _matrix_test(built, right, f"SELECT * REPLACE (if(user_id = {unseen}, 0, weight) AS weight)") == 1
        )
        moved = f"if(user_id = {later}, last_event_at + toIntervalSecond(1), last_event_at)"
        assert _matrix_test(built, right, f"SELECT * REPLACE ({moved} AS last_event_at)") == 1
        twice = f"SELECT * REPLACE (if(user_id = {missing}, {stranger}, user_id) AS user_id)"
        assert _matrix_test(built, right, twice) == 2


def _matrix_test(built: Built, right: str, select: str) -> int:
    """Fill the matrix from the right one and return how many rows its test finds."""
    built.warehouse.command("TRUNCATE TABLE analytics.user_item_matrix")
    built.warehouse.command(f"INSERT INTO analytics.user_item_matrix {select} FROM {right}")
    result = built.warehouse.dbt("test", "--select", "assert_matrix_weights_match_definition")
    return result.failures["assert_matrix_weights_match_definition"]


def test_weight_of_zero_stops_the_build(empty: Warehouse) -> None:
    zero = ("--vars", "{confidence_watched_weight: 0}")
    words = ("--exclude-resource-type", "unit_test", "--select", "confidence_weights+")
    result = empty.dbt("build", *words, *zero)
    assert result.exit_code == 1
    assert result.named("fail") == {"confidence_weights_are_finite_and_not_zero"}
    assert "user_item_matrix" in result.named("skipped")
    assert empty.rows("EXISTS TABLE analytics.user_item_matrix") == [(0,)]


def test_source_that_was_not_loaded_for_days_is_stale(built: Built) -> None:
    freshness = ("source", "freshness", "--select", "source:raw.movies")
    two_days_old = datetime.now(UTC) - timedelta(hours=51)
    built.warehouse.command("TRUNCATE TABLE raw.load_audit")
    # Neither a load that failed nor that of another table is one of movies.
    now = datetime.now(UTC)
    failed, other = raw.audit("movies", now, matches=False), raw.audit("users", now)
    built.warehouse.insert("load_audit", [failed, other, raw.audit("movies", two_days_old)])
    stale = built.warehouse.dbt(*freshness)
    # Nothing had changed: no row came, yet the load was.
    built.warehouse.insert("load_audit", [raw.audit("movies", two_days_old + timedelta(days=1))])
    late = built.warehouse.dbt(*freshness)
    assert stale.exit_code == 1
    assert "ERROR STALE freshness of raw.movies" in stale.output
    assert late.exit_code == 0
    assert "WARN freshness of raw.movies" in late.output


def test_empty_warehouse_builds(empty: Warehouse) -> None:
    result = empty.dbt("build", "--exclude-resource-type", "unit_test")
    assert result.exit_code == 0, result.output
    assert empty.rows("SELECT count() FROM analytics.user_item_matrix") == [(0,)]
    assert empty.rows("SELECT count() FROM analytics.confidence_weights") == [(31,)]
