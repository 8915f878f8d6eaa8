"""Checks staged ratings against other rows: ratings of unknown movies, and duplicates.

Line numbers are not staged. Rows that one COPY appends are in the order of the file, so the n-th row is the
n-th valid line.
"""

from collections.abc import Iterator

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from dataflix_loader.database import staging
from dataflix_loader.movielens.lines import FileStats, decode, read_blocks
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import Reason, RejectedLine, RejectLog
from dataflix_loader.movielens.sources import SourceFile

_NUMBERED = "SELECT ctid AS row_ctid, row_number() OVER (ORDER BY ctid) AS ordinal, * FROM stage_ratings"

_REJECTS_TABLE = """
CREATE TEMPORARY TABLE stage_rejects (
    row_ctid tid, ordinal bigint, reason text, user_id bigint, movie_id bigint, kept_ordinal bigint
) ON COMMIT DROP
"""

_HAS_UNKNOWN_MOVIES = """
SELECT EXISTS (
    SELECT FROM stage_ratings
    WHERE NOT EXISTS (SELECT FROM stage_movies WHERE stage_movies.movie_id = stage_ratings.movie_id)
)
"""

_UNKNOWN_MOVIES = f"""
INSERT INTO stage_rejects
SELECT row_ctid, ordinal, '{Reason.UNKNOWN_MOVIE}', user_id, movie_id
FROM ({_NUMBERED}) AS numbered
WHERE NOT EXISTS (SELECT FROM stage_movies WHERE stage_movies.movie_id = numbered.movie_id)
"""

# Compares neighbours in order. A GROUP BY would hash the pairs, which takes four times as long as sorting
# rows that are nearly sorted (5 million ratings: 8.6 s and 2.2 s).
_HAS_DUPLICATES = """
SELECT EXISTS (
    SELECT FROM (
        SELECT user_id = lag(user_id) OVER pairs AND movie_id = lag(movie_id) OVER pairs AS is_duplicate
        FROM stage_ratings
        WINDOW pairs AS (ORDER BY user_id, movie_id)
    ) AS compared
    WHERE is_duplicate
)
"""

# Of several ratings the latest counts; of several with the same time, the last in the file.
_DUPLICATES = f"""
INSERT INTO stage_rejects
SELECT row_ctid, ordinal, '{Reason.DUPLICATE_RATING}', user_id, movie_id, kept_ordinal
FROM (
    SELECT
        numbered.*,
        first_value(ordinal) OVER (
            PARTITION BY user_id, movie_id ORDER BY rated_epoch DESC, ordinal DESC
        ) AS kept_ordinal
    FROM ({_NUMBERED}) AS numbered
    JOIN (SELECT user_id, movie_id FROM stage_ratings GROUP BY 1, 2 HAVING count(*) > 1) AS duplicates
        USING (user_id, movie_id)
) AS ranked
WHERE
    ordinal <> kept_ordinal
    AND NOT EXISTS (SELECT FROM stage_rejects WHERE stage_rejects.ordinal = ranked.ordinal)
"""


def delete_invalid_ratings(
    connection: Connection, file: SourceFile, stream: RatingsStream, rejects: RejectLog
) -> int:
    """Reject and delete staged ratings of unknown movies, and older ratings of a user for the same movie.

    Args:
        connection: the connection whose transaction holds the staging tables.
        file: the ratings file; it is read again to show the rejected lines.
        stream: the stream that filled the staging table.
        rejects: receives the rejected lines.

    Returns:
        The number of deleted ratings.

    Raises:
        BadLineError: at the first invalid rating, unless they are collected.
        FileError: the file can't be read again.
    """
    with connection.cursor() as cursor:
        staging.analyze(cursor, "stage_movies", "stage_ratings")
        cursor.execute(_REJECTS_TABLE)
        if _is_true(cursor, _HAS_UNKNOWN_MOVIES):
            cursor.execute(_UNKNOWN_MOVIES)
        if _is_true(cursor, _HAS_DUPLICATES):
            cursor.execute(_DUPLICATES)
    _report(connection, file, stream, rejects)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM stage_ratings USING stage_rejects WHERE stage_ratings.ctid = stage_rejects.row_ctid"
        )
        n_deleted = cursor.rowcount
        cursor.execute("DROP TABLE stage_rejects")
    return n_deleted


def _is_true(cursor: Cursor, query: str) -> bool:
    cursor.execute(query)
    return bool((cursor.fetchone() or (False,))[0])


def _report(connection: Connection, file: SourceFile, stream: RatingsStream, rejects: RejectLog) -> None:
    # A named cursor: there may be as many rejected ratings as lines.
    with connection.cursor("rejected_ratings") as found:
        found.execute(
            "SELECT ordinal, reason, user_id, movie_id, kept_ordinal FROM stage_rejects ORDER BY ordinal"
        )
        lines: Iterator[tuple[int, str]] = iter(())
        for position, (ordinal, reason, user_id, movie_id, kept_ordinal) in enumerate(found):
            if position == 0:
                lines = _numbered_lines(file)
            wanted = stream.line_of(ordinal)
            text = next(text for number, text in lines if number == wanted)
            detail = (
                f"id {movie_id} is not in the movie file"
                if kept_ordinal is None
                else f"user {user_id} rated movie {movie_id} in line {stream.line_of(kept_ordinal)} too"
            )
            rejects.add(RejectedLine(file.name, wanted, f"{reason}: {detail}", text))


def _numbered_lines(file: SourceFile) -> Iterator[tuple[int, str]]:
    number = 0
    with file.open() as stream:
        for block in read_blocks(file, stream, FileStats(), lambda _: None):
            for raw in block[:-1].split(b"\n"):
                number += 1
                yield number, decode(raw.removesuffix(b"\r"))
