"""The import of one data set: staged, checked, merged; all of it or nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from dataflix_loader.database import staging, upsert
from dataflix_loader.database.staging import Field
from dataflix_loader.movielens import movies, ratings, users
from dataflix_loader.movielens.dataset import Format, Layout, Role
from dataflix_loader.movielens.errors import NotMovieLensError
from dataflix_loader.movielens.integrity import take_out_bad_ratings
from dataflix_loader.movielens.lines import FileCount, parsed_lines
from dataflix_loader.movielens.ratings import RatingsStream
from dataflix_loader.movielens.rejects import Faults
from dataflix_loader.progress import Progress
from dataflix_loader.synthetic_users import COLUMNS as USER_COLUMNS
from dataflix_loader.synthetic_users import Personas

# example.org belongs to nobody (RFC 2606); the first part tells these people from other data sets'.
EMAIL_DOMAIN = "movielens.example.org"

Parsed = TypeVar("Parsed")

_MOVIE_COLUMNS = (*movies.COLUMNS, "imdb_id", "tmdb_id")


@dataclass
class Import:
    """An import and what it has read so far.

    Attributes:
        rows: rows of the data set that were kept, by table.
    """

    layout: Layout
    faults: Faults
    progress: Progress
    counts: dict[Role, FileCount] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def run(self, connection: Connection) -> dict[str, upsert.Merged]:
        """Stage all files, check them against each other, and merge.

        Raises:
            LoadError: the data were refused.
        """
        with connection.cursor() as cursor:
            staging.create_tables(cursor)
            self._stage_films(cursor)
            ages = self._read_ages()
            stream = self._stage_ratings(cursor)
            self.progress.step("checking ratings")
            self._take_out_bad_ratings(connection, stream)
            self._stage_people(cursor, ages)
            self.progress.step("merging")
            return upsert.merge(cursor)

    def _stage_films(self, cursor: Cursor) -> None:
        parse = movies.film_parser(self.layout.format)
        found = {film.movie_id: film for film in self._parsed(Role.FILMS, parse)}
        links: dict[int, movies.Links] = {}
        if self.layout.links:
            links = {link.movie_id: link for link in self._parsed(Role.LINKS, movies.links_parser(found))}
        self.rows["movies"] = staging.copy_rows(
            cursor,
            "stage_movies",
            _MOVIE_COLUMNS,
            (_movie_row(film, links.get(film.movie_id)) for film in found.values()),
        )

    def _read_ages(self) -> dict[int, int]:
        if self.layout.people is None:
            return {}
        return dict(self._parsed(Role.PEOPLE, users.person_parser(self.layout.format)))

    def _stage_ratings(self, cursor: Cursor) -> RatingsStream:
        self.progress.reading(self.layout.ratings.name)
        count = self.counts.setdefault(Role.RATINGS, FileCount())
        stream = RatingsStream(
            self.layout.format, self.layout.ratings, self.faults, count, self.progress.advance
        )
        staging.copy_stream(cursor, "stage_ratings", ratings.COLUMNS, stream)
        return stream

    def _take_out_bad_ratings(self, connection: Connection, stream: RatingsStream) -> None:
        taken_out = take_out_bad_ratings(connection, self.layout.ratings, stream, self.faults)
        kept = self.counts[Role.RATINGS].rows - taken_out
        if kept == 0:
            raise NotMovieLensError(f"{self.layout.ratings.name} holds no usable rating.")
        self.counts[Role.RATINGS].rows = self.rows["ratings"] = kept

    def _stage_people(self, cursor: Cursor, ages: dict[int, int]) -> None:
        """Invent a person for each user id; they joined when they first rated."""
        cursor.execute(
            "SELECT user_id, min(rated_epoch) FROM stage_ratings GROUP BY user_id ORDER BY user_id"
        )
        joined = dict(cursor.fetchall())
        first = min(joined.values())
        # ml-1m and ml-100k list their people; one without a rating is known all the same.
        user_ids = sorted(joined.keys() | ages.keys())
        epochs = [joined.get(user_id, first) for user_id in user_ids]
        birth_years = [
            _year(epoch) - ages[user_id] if user_id in ages else None
            for user_id, epoch in zip(user_ids, epochs, strict=True)
        ]
        rows = Personas(EMAIL_DOMAIN).rows(user_ids, epochs, birth_years)
        self.rows["users"] = staging.copy_rows(cursor, "stage_users", USER_COLUMNS, rows)

    def _parsed(self, role: Role, parse: Callable[[str], Parsed]) -> Iterator[Parsed]:
        file = self.layout.files[role]
        self.progress.reading(file.name)
        count = self.counts.setdefault(role, FileCount())
        return parsed_lines(
            file,
            parse,
            self.faults,
            count,
            self.progress.advance,
            has_header=self.layout.format is Format.CSV,
        )


def _movie_row(film: movies.Film, links: movies.Links | None) -> tuple[Field, ...]:
    return (
        film.movie_id,
        film.title,
        staging.text_array(film.genres),
        film.release_year,
        links.imdb_id if links else None,
        links.tmdb_id if links else None,
    )


def _year(epoch: int) -> int:
    return datetime.fromtimestamp(epoch, UTC).year
