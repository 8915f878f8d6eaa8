"""Reads the movie files: titles with genres, and ids at other sites."""

import csv
import re
from collections.abc import Callable, Container
from typing import NamedTuple

from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.rejects import InvalidLineError
from dataflix_loader.movielens.titles import parse_title

COLUMNS = ("movie_id", "title", "genres", "release_year")

_ID = re.compile(r"[1-9][0-9]{0,16}")
_MAX_TITLE = 500

_NO_GENRES = "(no genres listed)"

_DAT_DELIMITER = file_format(Format.DAT, FileKind.MOVIES).delimiter
_UDATA_DELIMITER = file_format(Format.UDATA, FileKind.MOVIES).delimiter

# The 19 flags at the end of a line of u.item, after id, title, two dates and an address.
_UDATA_GENRES = (
    None,  # "unknown"
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_UDATA_FIELDS_BEFORE_GENRES = 5
_UDATA_RELEASE_DATE = re.compile(r"[0-9]{2}-[A-Z][a-z]{2}-(?P<year>[0-9]{4})")


class Movie(NamedTuple):
    """A movie as the data set describes it."""

    movie_id: int
    title: str
    genres: tuple[str, ...]
    release_year: int | None


class Links(NamedTuple):
    """The ids of a movie at IMDb ("tt0114709") and The Movie Database."""

    movie_id: int
    imdb_id: str | None
    tmdb_id: int | None


def movie_parser(format_: Format) -> Callable[[str], Movie]:
    """Return a parser for lines about movies. It rejects an id that stands in an earlier line too."""
    seen: set[int] = set()
    split = {Format.CSV: _split_csv, Format.DAT: _split_dat, Format.UDATA: _split_udata}[format_]

    def parse(line: str) -> Movie:
        raw_id, raw_title, genres, release_year = split(line)
        movie_id = _parse_id(raw_id)
        if movie_id in seen:
            raise InvalidLineError(f"duplicate movie: id {movie_id} stands in an earlier line too")
        title, year = parse_title(raw_title)
        if not title.strip():
            raise InvalidLineError("empty title")
        if len(title) > _MAX_TITLE:
            raise InvalidLineError(f"title too long: {len(title)} characters, {_MAX_TITLE} are allowed")
        seen.add(movie_id)
        return Movie(movie_id, title, genres, year or release_year)

    return parse


def links_parser(known_movies: Container[int]) -> Callable[[str], Links]:
    """Return a parser for lines of links.csv. It rejects unknown movies and an id of an earlier line."""
    seen: set[int] = set()

    def parse(line: str) -> Links:
        raw_id, raw_imdb, raw_tmdb = _csv_fields(line, 3)
        movie_id = _parse_id(raw_id)
        if movie_id not in known_movies:
            raise InvalidLineError(f"unknown movie: id {movie_id} is not in the movie file")
        if movie_id in seen:
            raise InvalidLineError(f"duplicate movie: id {movie_id} stands in an earlier line too")
        if raw_imdb and not re.fullmatch("[0-9]{1,10}", raw_imdb):
            raise InvalidLineError("bad IMDb id: must be up to ten digits")
        if raw_tmdb and not _ID.fullmatch(raw_tmdb):
            raise InvalidLineError("bad TMDB id: must be a whole number above 0")
        seen.add(movie_id)
        # IMDb pads its numbers to seven digits.
        imdb_id = f"tt{raw_imdb.zfill(7)}" if raw_imdb else None
        return Links(movie_id, imdb_id, int(raw_tmdb) if raw_tmdb else None)

    return parse


# Id, title, genres, and the year of the release date where the format has one.
_Split = tuple[str, str, tuple[str, ...], int | None]


def _split_csv(line: str) -> _Split:
    movie_id, title, genres = _csv_fields(line, 3)
    return movie_id, title, _genres(genres), None


def _split_dat(line: str) -> _Split:
    fields = line.split(_DAT_DELIMITER)
    _require_fields(fields, 3)
    return fields[0], fields[1], _genres(fields[2]), None


def _split_udata(line: str) -> _Split:
    fields = line.split(_UDATA_DELIMITER)
    _require_fields(fields, _UDATA_FIELDS_BEFORE_GENRES + len(_UDATA_GENRES))
    flags = fields[_UDATA_FIELDS_BEFORE_GENRES:]
    if not set(flags) <= {"0", "1"}:
        raise InvalidLineError("bad genre: each of the last 19 fields must be 0 or 1")
    genres = tuple(genre for genre, flag in zip(_UDATA_GENRES, flags, strict=True) if genre and flag == "1")
    date = _UDATA_RELEASE_DATE.fullmatch(fields[2])
    return fields[0], fields[1], genres, int(date["year"]) if date else None


def _csv_fields(line: str, count: int) -> list[str]:
    try:
        fields = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise InvalidLineError(f"bad quotes: {error}") from error
    _require_fields(fields, count)
    return fields


def _require_fields(fields: list[str], count: int) -> None:
    if not fields or fields == [""]:
        raise InvalidLineError("empty line")
    if len(fields) != count:
        raise InvalidLineError(f"wrong number of fields: {len(fields)} instead of {count}")


def _parse_id(raw: str) -> int:
    if not _ID.fullmatch(raw):
        raise InvalidLineError("bad movie id: must be a whole number above 0")
    return int(raw)


def _genres(joined: str) -> tuple[str, ...]:
    return () if joined in ("", _NO_GENRES) else tuple(joined.split("|"))
