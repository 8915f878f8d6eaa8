"""Values reach the staging tables unchanged, with any characters."""

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.database import staging

any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


class FailingStream(staging.CopyStream):
    def read(self, size: int = -1, /) -> bytes:
        raise KeyError("what the stream raised")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 2**62), any_text, st.lists(any_text), st.none() | any_text), max_size=5
    )
)
def test_rows_round_trip(database: Connection, rows: list[tuple[int, str, list[str], str | None]]) -> None:
    database.autocommit = False
    with database.cursor() as cursor:
        staging.create_tables(cursor)
        copied = staging.copy_rows(
            cursor,
            "stage_movies",
            ("movie_id", "title", "genres", "director"),
            ((key, title, staging.text_array(genres), director) for key, title, genres, director in rows),
        )
        cursor.execute("SELECT movie_id, title, genres, director FROM stage_movies ORDER BY ctid")
        assert cursor.fetchall() == rows
    database.rollback()
    assert copied == len(rows)


def test_an_error_of_a_stream_is_raised_unchanged(database: Connection) -> None:
    database.autocommit = False
    with database.cursor() as cursor:
        staging.create_tables(cursor)
        with pytest.raises(KeyError, match="what the stream raised"):
            staging.copy_stream(cursor, "stage_watched", ("user_id",), FailingStream())
    database.rollback()


def test_an_error_of_the_server_is_raised_unchanged(database: Connection) -> None:
    database.autocommit = False
    with database.cursor() as cursor:
        staging.create_tables(cursor)
        with pytest.raises(psycopg2.errors.NotNullViolation):
            staging.copy_rows(cursor, "stage_movies", ("movie_id",), [(1,)])
    database.rollback()
