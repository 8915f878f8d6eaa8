"""Lines about movies and users: what they mean and why they are rejected."""

import pytest

from dataflix_loader.movielens.formats import Format
from dataflix_loader.movielens.movies import Links, Movie, links_parser, movie_parser
from dataflix_loader.movielens.rejects import InvalidLineError
from dataflix_loader.movielens.users import User, user_parser


@pytest.mark.parametrize(
    ("format_", "line", "movie"),
    [
        (
            Format.CSV,
            '1,"Matrix, The (1999)",Action|Sci-Fi',
            Movie(1, "The Matrix", ("Action", "Sci-Fi"), 1999),
        ),
        (Format.CSV, '2,"""Great"" Movie (1990)",(no genres listed)', Movie(2, '"Great" Movie', (), 1990)),
        (Format.CSV, "3,Untold,", Movie(3, "Untold", (), None)),
        (Format.DAT, "4::Alien³: The One (1992)::Horror", Movie(4, "Alien³: The One", ("Horror",), 1992)),
        (
            Format.UDATA,
            "5|No Year|02-Feb-1996||url|" + "|".join("1" if place in (1, 18) else "0" for place in range(19)),
            Movie(5, "No Year", ("Action", "Western"), 1996),
        ),
        (Format.UDATA, "6|unknown|||| 1".replace("| 1", "|1") + "|0" * 18, Movie(6, "unknown", (), None)),
    ],
)
def test_movies(format_: Format, line: str, movie: Movie) -> None:
    assert movie_parser(format_)(line) == movie


@pytest.mark.parametrize(
    ("format_", "line", "reason"),
    [
        (Format.CSV, "", "wrong number of fields: 1 instead of 3"),
        (Format.CSV, "1,Comma, unquoted (1999),Drama", "wrong number of fields: 4 instead of 3"),
        (Format.CSV, '1,"Unclosed (1999),Drama', "bad quotes"),
        (Format.CSV, "x,Alien (1979),Horror", "bad movie id"),
        (Format.CSV, "0,Alien (1979),Horror", "bad movie id"),
        (Format.CSV, "1, ,Horror", "empty title"),
        (Format.CSV, f"1,{'x' * 501},Horror", "title too long"),
        (Format.DAT, "1::Alien (1979)", "wrong number of fields: 2 instead of 3"),
        (Format.UDATA, "1|Alien (1979)|||", "wrong number of fields: 5 instead of 24"),
        (Format.UDATA, "1|Alien (1979)||||2" + "|0" * 18, "bad genre"),
    ],
)
def test_bad_movies(format_: Format, line: str, reason: str) -> None:
    with pytest.raises(InvalidLineError, match=reason):
        movie_parser(format_)(line)


def test_a_second_line_for_a_movie_is_rejected() -> None:
    parse = movie_parser(Format.CSV)
    parse("1,Alien (1979),Horror")
    with pytest.raises(InvalidLineError, match="duplicate movie: id 1"):
        parse("1,Aliens (1986),Horror")


def test_links() -> None:
    parse = links_parser({1, 2, 3})
    assert parse("1,0114709,862") == Links(1, "tt0114709", 862)
    assert parse("2,123,") == Links(2, "tt0000123", None)
    assert parse("3,,5") == Links(3, None, 5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("9,0114709,862", "unknown movie: id 9"),
        ("1,ttx,862", "bad IMDb id: 'ttx' must be up to ten digits"),
        ("1,1.14709E+05,862", "bad IMDb id: .* scientific notation"),
        ("1,0114709,0", "bad TMDB id: '0' must be above 0"),
        ("1,0114709,862.5", "bad TMDB id: '862.5' must be a whole number"),
        ("1,0114709,x", "bad TMDB id"),
        ("1,0114709", "wrong number of fields: 2 instead of 3"),
    ],
)
def test_bad_links(line: str, reason: str) -> None:
    with pytest.raises(InvalidLineError, match=reason):
        links_parser({1})(line)


@pytest.mark.parametrize(
    ("format_", "line", "user"),
    [
        (Format.DAT, "1::F::1::10::48067", User(1, 16)),
        (Format.DAT, "2::M::56::16::70072", User(2, 60)),
        (Format.UDATA, "3|24|M|technician|85711", User(3, 24)),
    ],
)
def test_users(format_: Format, line: str, user: User) -> None:
    assert user_parser(format_)(line) == user


@pytest.mark.parametrize(
    ("format_", "line", "reason"),
    [
        (Format.DAT, "", "wrong number of fields: 1 instead of 5"),
        (Format.DAT, "1::F::1::10", "wrong number of fields"),
        (Format.DAT, "one::F::1::10::48067", "bad user id"),
        (Format.UDATA, "3|old|M|technician|85711", "bad age"),
        (Format.UDATA, "3|121|M|technician|85711", "bad age"),
    ],
)
def test_bad_users(format_: Format, line: str, reason: str) -> None:
    with pytest.raises(InvalidLineError, match=reason):
        user_parser(format_)(line)
