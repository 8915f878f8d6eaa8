"""Imports one data set: stages it, checks it, upserts it; all of it or nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from dataflix_loader.database import staging
from dataflix_loader.database.corrections import Corrections
from dataflix_loader.database.staging import Field
from dataflix_loader.database.upsert import RowChanges, upsert_staged_rows
from dataflix_loader.movielens import movies, ratings, users
from dataflix_loader.movielens.dataset import Dataset
from dataflix_loader.movielens.errors import NotMovieLensError
from dataflix_loader.movielens.fields import DEFAULT_SCALE
from dataflix_loader.movielens.formats import FileKind, Format
from dataflix_loader.movielens.integrity import delete_invalid_ratings
from dataflix_loader.movielens.lines import FileStats, ParsedLine, parse_lines
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import InvalidLineError, RejectedLine, RejectLog
from dataflix_loader.progress import Progress
from dataflix_loader.synthetic_users import COLUMNS as USER_COLUMNS
from dataflix_loader.synthetic_users import SyntheticUsers

# example.org belongs to nobody (RFC 2606). The first part separates these users from those of other data
# sets.
EMAIL_DOMAIN = "movielens.example.org"

Parsed = TypeVar("Parsed")

_MOVIE_COLUMNS = (*movies.COLUMNS, "imdb_id", "tmdb_id")


@dataclass(frozen=True)
class ImportResult:
    """What an import read and changed.

    Attributes:
        stats: what was read of each file.
        rejects: the rejected lines.
        rows: rows of the data set that were kept, by table.
        changes: what was inserted and updated, by table.
        corrections: the titles and years that were corrected.
    """

    dataset: Dataset
    stats: dict[FileKind, FileStats]
    rejects: RejectLog
    rows: dict[str, int]
    changes: dict[str, RowChanges]
    corrections: Corrections


def import_dataset(
    connection: Connection,
    dataset: Dataset,
    rejects: RejectLog,
    progress: Progress,
    *,
    scale: int = DEFAULT_SCALE,
    accept_other_titles: bool = False,
) -> ImportResult:
    """Stage all files, check them against each other, and upsert them.

    Args:
        connection: where to load them; the caller commits.
        dataset: the files.
        rejects: receives the invalid lines.
        progress: receives what is done.
        scale: the highest rating of the data, one of `fields.SCALES`.
        accept_other_titles: see `upsert_staged_rows`.

    Raises:
        LoadError: the data were refused.
    """
    reader = _Reader(dataset, rejects, progress)
    with connection.cursor() as cursor:
        staging.create_tables(cursor)
        n_movies = _stage_movies(cursor, reader)
        ages = _read_ages(reader)
        stream = reader.ratings_stream(scale)
        staging.copy_stream(cursor, "stage_ratings", ratings.COLUMNS, stream)
        progress.step("checking ratings")
        n_deleted = delete_invalid_ratings(connection, dataset.ratings, stream, rejects)
        n_ratings = reader.stats[FileKind.RATINGS].rows - n_deleted
        if n_ratings == 0:
            raise NotMovieLensError(f"{dataset.ratings.name} holds no usable rating.")
        reader.stats[FileKind.RATINGS].rows = n_ratings
        if scale != DEFAULT_SCALE:
            # 0 becomes the lowest rating that the table holds.
            cursor.execute(
                "UPDATE stage_ratings SET rating = greatest(rating * %s / %s, 0.5)", (DEFAULT_SCALE, scale)
            )
        n_users = _stage_users(cursor, reader, ages, rejects)
        progress.step("merging")
        upserted = upsert_staged_rows(cursor, accept_other_titles=accept_other_titles)
    rows = {"movies": n_movies, "ratings": n_ratings, "users": n_users}
    return ImportResult(dataset, reader.stats, rejects, rows, upserted.changes, upserted.corrections)


class _Reader:
    """Reads the files of a data set.

    Attributes:
        stats: what was read so far of each file.
    """

    def __init__(self, dataset: Dataset, rejects: RejectLog, progress: Progress) -> None:
        self.dataset = dataset
        self.stats = {kind: FileStats() for kind in dataset.files}
        self._rejects = rejects
        self._progress = progress

    def parse(self, kind: FileKind, parse: Callable[[str], Parsed]) -> Iterator[ParsedLine[Parsed]]:
        """Yield the parsed lines of a file."""
        file = self.dataset.files[kind]
        self._progress.start_file(file.name)
        return parse_lines(
            file,
            parse,
            self._rejects,
            self.stats[kind],
            self._progress.advance,
            has_header=self.dataset.format is Format.CSV,
        )

    def ratings_stream(self, scale: int) -> RatingsStream:
        """Return the ratings as input for COPY."""
        self._progress.start_file(self.dataset.ratings.name)
        return RatingsStream(
            self.dataset.format,
            self.dataset.ratings,
            self._rejects,
            self.stats[FileKind.RATINGS],
            self._progress.advance,
            scale=scale,
        )


def _stage_movies(cursor: Cursor, reader: _Reader) -> int:
    parse = movies.movie_parser(reader.dataset.format)
    found = {line.value.movie_id: line.value for line in reader.parse(FileKind.MOVIES, parse)}
    links: dict[int, movies.Links] = {}
    if reader.dataset.links:
        lines = reader.parse(FileKind.LINKS, movies.links_parser(found))
        links = {line.value.movie_id: line.value for line in lines}
    rows = (_movie_row(movie, links.get(movie.movie_id)) for movie in found.values())
    return staging.copy_rows(cursor, "stage_movies", _MOVIE_COLUMNS, rows)


def _read_ages(reader: _Reader) -> dict[int, ParsedLine[users.User]]:
    if reader.dataset.users is None:
        return {}
    lines = reader.parse(FileKind.USERS, users.user_parser(reader.dataset.format))
    return {line.value.user_id: line for line in lines}


def _stage_users(
    cursor: Cursor, reader: _Reader, ages: dict[int, ParsedLine[users.User]], rejects: RejectLog
) -> int:
    """Invent the details of each user. Users join at the time of their first rating."""
    cursor.execute("SELECT user_id, min(rated_epoch) FROM stage_ratings GROUP BY user_id ORDER BY user_id")
    joined = dict(cursor.fetchall())
    first = min(joined.values())
    birth_years: dict[int, int] = {}
    for user_id, line in ages.items():
        try:
            birth_years[user_id] = users.birth_year(line.value.age, _year(joined.get(user_id, first)))
        except InvalidLineError as reason:
            file = reader.dataset.files[FileKind.USERS]
            rejects.add(RejectedLine(file.name, line.number, str(reason), line.text))
            reader.stats[FileKind.USERS].rows -= 1
    # ml-1m and ml-100k list their users; a user without a rating is imported too.
    user_ids = sorted(joined.keys() | birth_years.keys())
    epochs = [joined.get(user_id, first) for user_id in user_ids]
    known_years = [birth_years.get(user_id) for user_id in user_ids]
    rows = SyntheticUsers(EMAIL_DOMAIN).rows(user_ids, epochs, known_years)
    return staging.copy_rows(cursor, "stage_users", USER_COLUMNS, rows)


def _movie_row(movie: movies.Movie, links: movies.Links | None) -> tuple[Field, ...]:
    return (
        movie.movie_id,
        movie.title,
        staging.text_array(movie.genres),
        movie.release_year,
        links.imdb_id if links else None,
        links.tmdb_id if links else None,
    )


def _year(epoch: int) -> int:
    return datetime.fromtimestamp(epoch, UTC).year
