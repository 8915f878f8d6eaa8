"""Loads the sample's files, through the staging and merge that every data set takes."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from dataload import merge, staging
from dataload.database import transaction
from dataload.personas import COLUMNS as USER_COLUMNS
from dataload.progress import Progress
from dataload.settings import Settings
from dataload.staging import Field
from sample_data.files import MOVIE_COLUMNS, RATING_COLUMNS, WATCHED_COLUMNS


def load_folder(settings: Settings, folder: Path, progress: Progress) -> dict[str, merge.Merged]:
    """Load what `write_sample` wrote into `folder`.

    Returns:
        What changed, per table.

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
        return merge.merge(cursor)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Field, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield tuple(
                staging.text_array(row[column].split("|")) if column == "genres" else row[column] or None
                for column in columns
            )
