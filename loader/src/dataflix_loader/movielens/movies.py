"""Reads the movie files: titles with genres, and ids at other sites."""

import re
from collections.abc import Callable, Container
from typing import NamedTuple

from dataflix_loader.movielens.fields import clean_text, is_missing, parse_id, parse_imdb_id, shown
from dataflix_loader.movielens.formats import FileKind, Format, file_format
from dataflix_loader.movielens.lines import split_csv, split_fields
from dataflix_loader.movielens.rejects import InvalidLineError, Reason
from dataflix_loader.movielens.titles import FIRST_YEAR, LAST_YEAR, parse_title

COLUMNS = ("movie_id", "title", "genres", "release_year")

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
        movie_id = parse_id(raw_id, Reason.BAD_MOVIE_ID)
        if movie_id in seen:
            raise InvalidLineError(Reason.DUPLICATE_MOVIE, f"id {movie_id} stands in an earlier line too")
        title, year = parse_title(clean_text(raw_title))
        title = title.strip()
        if not any(map(str.isprintable, title)):
            # Nothing, or only characters that nobody sees, such as a zero width space.
            raise InvalidLineError(Reason.EMPTY_TITLE)
        if len(title) > _MAX_TITLE:
            raise InvalidLineError(
                Reason.TITLE_TOO_LONG, f"{len(title)} characters, {_MAX_TITLE} are allowed"
            )
        if year is None and release_year is not None and not FIRST_YEAR <= release_year <= LAST_YEAR:
            raise InvalidLineError(Reason.BAD_YEAR, f"{release_year} must be {FIRST_YEAR} to {LAST_YEAR}")
        seen.add(movie_id)
        return Movie(movie_id, title, genres, year or release_year)

    return parse


def links_parser(known_movies: Container[int]) -> Callable[[str], Links]:
    """Return a parser for lines of links.csv. It rejects unknown movies and an id of an earlier line."""
    seen: set[int] = set()

    def parse(line: str) -> Links:
        raw_id, raw_imdb, raw_tmdb = split_csv(line, 3)
        movie_id = parse_id(raw_id, Reason.BAD_MOVIE_ID)
        if movie_id not in known_movies:
            raise InvalidLineError(Reason.UNKNOWN_MOVIE, f"id {movie_id} is not in the movie file")
        if movie_id in seen:
            raise InvalidLineError(Reason.DUPLICATE_MOVIE, f"id {movie_id} stands in an earlier line too")
        imdb_id = parse_imdb_id(raw_imdb)
        tmdb_id = None if is_missing(raw_tmdb) else parse_id(raw_tmdb, Reason.BAD_TMDB_ID)
        seen.add(movie_id)
        return Links(movie_id, imdb_id, tmdb_id)

    return parse


# Id, title, genres, and the year of the release date where the format has one.
_Split = tuple[str, str, tuple[str, ...], int | None]


def _split_csv(line: str) -> _Split:
    movie_id, title, genres = split_csv(line, 3)
    return movie_id, title, _genres(genres), None


def _split_dat(line: str) -> _Split:
    movie_id, title, genres = split_fields(line, _DAT_DELIMITER, 3)
    return movie_id, title, _genres(genres), None


def _split_udata(line: str) -> _Split:
    fields = split_fields(line, _UDATA_DELIMITER, _UDATA_FIELDS_BEFORE_GENRES + len(_UDATA_GENRES))
    flags = [flag.strip() for flag in fields[_UDATA_FIELDS_BEFORE_GENRES:]]
    if wrong := [flag for flag in flags if flag not in ("0", "1")]:
        raise InvalidLineError(
            Reason.BAD_GENRE, f"{shown(wrong[0])}; each of the last 19 fields must be 0 or 1"
        )
    genres = tuple(genre for genre, flag in zip(_UDATA_GENRES, flags, strict=True) if genre and flag == "1")
    date = _UDATA_RELEASE_DATE.fullmatch(fields[2].strip())
    return fields[0], fields[1], genres, int(date["year"]) if date else None


def _genres(joined: str) -> tuple[str, ...]:
    genres = [clean_text(genre) for genre in joined.split("|")]
    return tuple(dict.fromkeys(genre for genre in genres if genre and genre != _NO_GENRES))
