"""Reads the files about films: titles with genres, and ids at other sites."""

import csv
import re
from collections.abc import Callable, Container
from typing import NamedTuple

from dataflix_loader.movielens.dataset import Format
from dataflix_loader.movielens.rejects import MalformedError
from dataflix_loader.movielens.titles import parse_title

COLUMNS = ("movie_id", "title", "genres", "release_year")

_ID = re.compile(r"[1-9][0-9]{0,16}")
_MAX_TITLE = 500

_NO_GENRES = "(no genres listed)"

# The 19 flags at the end of a line of u.item, after id, title, two dates and an address.
_UDATA_GENRES = (
    None,  # "unknown"
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_UDATA_FIELDS_BEFORE_GENRES = 5
_UDATA_RELEASE_DATE = re.compile(r"[0-9]{2}-[A-Z][a-z]{2}-(?P<year>[0-9]{4})")


class Film(NamedTuple):
    """A film as a data set tells it."""

    movie_id: int
    title: str
    genres: tuple[str, ...]
    release_year: int | None


class Links(NamedTuple):
    """A film's ids at IMDb ("tt0114709") and The Movie Database."""

    movie_id: int
    imdb_id: str | None
    tmdb_id: int | None


def film_parser(format_: Format) -> Callable[[str], Film]:
    """Return what parses a line about a film; it refuses an id that it has seen before."""
    seen: set[int] = set()
    split = {Format.CSV: _split_csv, Format.DAT: _split_dat, Format.UDATA: _split_udata}[format_]

    def parse(line: str) -> Film:
        raw_id, raw_title, genres, other_year = split(line)
        movie_id = _parse_id(raw_id)
        if movie_id in seen:
            raise MalformedError(f"duplicate film: id {movie_id} stands in an earlier line too")
        title, year = parse_title(raw_title)
        if not title.strip():
            raise MalformedError("empty title")
        if len(title) > _MAX_TITLE:
            raise MalformedError(f"title too long: {len(title)} characters, {_MAX_TITLE} are allowed")
        seen.add(movie_id)
        return Film(movie_id, title, genres, year or other_year)

    return parse


def links_parser(known_films: Container[int]) -> Callable[[str], Links]:
    """Return what parses a line of links.csv; it refuses unknown films and an id that it has seen before."""
    seen: set[int] = set()

    def parse(line: str) -> Links:
        raw_id, raw_imdb, raw_tmdb = _csv_fields(line, 3)
        movie_id = _parse_id(raw_id)
        if movie_id not in known_films:
            raise MalformedError(f"unknown film: id {movie_id} is not in the file of films")
        if movie_id in seen:
            raise MalformedError(f"duplicate film: id {movie_id} stands in an earlier line too")
        if raw_imdb and not re.fullmatch("[0-9]{1,10}", raw_imdb):
            raise MalformedError("bad IMDb id: must be up to ten digits")
        if raw_tmdb and not _ID.fullmatch(raw_tmdb):
            raise MalformedError("bad TMDB id: must be a whole number above 0")
        seen.add(movie_id)
        # IMDb pads its numbers to seven digits.
        imdb_id = f"tt{raw_imdb.zfill(7)}" if raw_imdb else None
        return Links(movie_id, imdb_id, int(raw_tmdb) if raw_tmdb else None)

    return parse


_Split = tuple[str, str, tuple[str, ...], int | None]


def _split_csv(line: str) -> _Split:
    movie_id, title, genres = _csv_fields(line, 3)
    return movie_id, title, _genres(genres), None


def _split_dat(line: str) -> _Split:
    fields = line.split("::")
    _require_fields(fields, 3)
    return fields[0], fields[1], _genres(fields[2]), None


def _split_udata(line: str) -> _Split:
    fields = line.split("|")
    _require_fields(fields, _UDATA_FIELDS_BEFORE_GENRES + len(_UDATA_GENRES))
    flags = fields[_UDATA_FIELDS_BEFORE_GENRES:]
    if not set(flags) <= {"0", "1"}:
        raise MalformedError("bad genre: each of the last 19 fields must be 0 or 1")
    genres = tuple(genre for genre, flag in zip(_UDATA_GENRES, flags, strict=True) if genre and flag == "1")
    date = _UDATA_RELEASE_DATE.fullmatch(fields[2])
    return fields[0], fields[1], genres, int(date["year"]) if date else None


def _csv_fields(line: str, count: int) -> list[str]:
    try:
        fields = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise MalformedError(f"bad quotes: {error}") from error
    _require_fields(fields, count)
    return fields


def _require_fields(fields: list[str], count: int) -> None:
    if not fields or fields == [""]:
        raise MalformedError("empty line")
    if len(fields) != count:
        raise MalformedError(f"wrong number of fields: {len(fields)} instead of {count}")


def _parse_id(raw: str) -> int:
    if not _ID.fullmatch(raw):
        raise MalformedError("bad film id: must be a whole number above 0")
    return int(raw)


def _genres(joined: str) -> tuple[str, ...]:
    return () if joined in ("", _NO_GENRES) else tuple(joined.split("|"))
