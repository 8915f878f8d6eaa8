"""Loads the files of the sample with the staging and upsert of every data set."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from dataflix_loader.database import staging
from dataflix_loader.database.connection import transaction
from dataflix_loader.database.staging import Field
from dataflix_loader.database.upsert import RowChanges, upsert_staged_rows
from dataflix_loader.progress import Progress
from dataflix_loader.sample.files import MOVIE_COLUMNS, RATING_COLUMNS, WATCHED_COLUMNS
from dataflix_loader.settings import Settings
from dataflix_loader.synthetic_users import COLUMNS as USER_COLUMNS


def load_folder(settings: Settings, folder: Path, progress: Progress) -> dict[str, RowChanges]:
    """Load the files that `write_sample` wrote into `folder`.

    Returns:
        The changes of each table, by its name.

    Raises:
        LoadError: the database can't be used or holds other data; nothing was changed.
    """
    with transaction(settings) as connection, connection.cursor() as cursor:
        staging.create_tables(cursor)
        progress.step("staging the sample")
        for table, file_name, columns in (
            ("stage_users", "users.csv", USER_COLUMNS),
            ("stage_movies", "movies.csv", MOVIE_COLUMNS),
            ("stage_ratings", "ratings.csv", RATING_COLUMNS),
            ("stage_watched", "watched_movies.csv", WATCHED_COLUMNS),
        ):
            staging.copy_rows(cursor, table, columns, _rows(folder / file_name, columns))
        progress.step("merging the sample")
        return upsert_staged_rows(cursor).changes


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Field, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield tuple(
                staging.text_array(row[column].split("|")) if column == "genres" else row[column] or None
                for column in columns
            )
