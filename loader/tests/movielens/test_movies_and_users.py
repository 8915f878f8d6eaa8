"""Lines about films and people: what they mean and why they are refused."""

import pytest

from dataflix_loader.movielens.dataset import Format
from dataflix_loader.movielens.movies import Film, Links, film_parser, links_parser
from dataflix_loader.movielens.rejects import MalformedError
from dataflix_loader.movielens.users import Person, person_parser


@pytest.mark.parametrize(
    ("format_", "line", "film"),
    [
        (
            Format.CSV,
            '1,"Matrix, The (1999)",Action|Sci-Fi',
            Film(1, "The Matrix", ("Action", "Sci-Fi"), 1999),
        ),
        (Format.CSV, '2,"""Great"" Film (1990)",(no genres listed)', Film(2, '"Great" Film', (), 1990)),
        (Format.CSV, "3,Untold,", Film(3, "Untold", (), None)),
        (Format.DAT, "4::Alien³: The One (1992)::Horror", Film(4, "Alien³: The One", ("Horror",), 1992)),
        (
            Format.UDATA,
            "5|No Year|02-Feb-1996||url|" + "|".join("1" if place in (1, 18) else "0" for place in range(19)),
            Film(5, "No Year", ("Action", "Western"), 1996),
        ),
        (Format.UDATA, "6|unknown|||| 1".replace("| 1", "|1") + "|0" * 18, Film(6, "unknown", (), None)),
    ],
)
def test_films(format_: Format, line: str, film: Film) -> None:
    assert film_parser(format_)(line) == film


@pytest.mark.parametrize(
    ("format_", "line", "reason"),
    [
        (Format.CSV, "", "empty line"),
        (Format.CSV, "1,Comma, unquoted (1999),Drama", "wrong number of fields: 4 instead of 3"),
        (Format.CSV, '1,"Unclosed (1999),Drama', "bad quotes"),
        (Format.CSV, "x,Alien (1979),Horror", "bad film id"),
        (Format.CSV, "0,Alien (1979),Horror", "bad film id"),
        (Format.CSV, "1, ,Horror", "empty title"),
        (Format.CSV, f"1,{'x' * 501},Horror", "title too long"),
        (Format.DAT, "1::Alien (1979)", "wrong number of fields: 2 instead of 3"),
        (Format.UDATA, "1|Alien (1979)|||", "wrong number of fields: 5 instead of 24"),
        (Format.UDATA, "1|Alien (1979)||||2" + "|0" * 18, "bad genre"),
    ],
)
def test_bad_films(format_: Format, line: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        film_parser(format_)(line)


def test_a_film_is_told_once() -> None:
    parse = film_parser(Format.CSV)
    parse("1,Alien (1979),Horror")
    with pytest.raises(MalformedError, match="duplicate film: id 1"):
        parse("1,Aliens (1986),Horror")


def test_links() -> None:
    parse = links_parser({1, 2, 3})
    assert parse("1,0114709,862") == Links(1, "tt0114709", 862)
    assert parse("2,123,") == Links(2, "tt0000123", None)
    assert parse("3,,5") == Links(3, None, 5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("9,0114709,862", "unknown film: id 9"),
        ("1,tt0114709,862", "bad IMDb id"),
        ("1,0114709,x", "bad TMDB id"),
        ("1,0114709", "wrong number of fields: 2 instead of 3"),
    ],
)
def test_bad_links(line: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        links_parser({1})(line)


@pytest.mark.parametrize(
    ("format_", "line", "person"),
    [
        (Format.DAT, "1::F::1::10::48067", Person(1, 16)),
        (Format.DAT, "2::M::56::16::70072", Person(2, 60)),
        (Format.UDATA, "3|24|M|technician|85711", Person(3, 24)),
    ],
)
def test_people(format_: Format, line: str, person: Person) -> None:
    assert person_parser(format_)(line) == person


@pytest.mark.parametrize(
    ("format_", "line", "reason"),
    [
        (Format.DAT, "", "empty line"),
        (Format.DAT, "1::F::1::10", "wrong number of fields"),
        (Format.DAT, "one::F::1::10::48067", "bad user id"),
        (Format.UDATA, "3|old|M|technician|85711", "bad age"),
        (Format.UDATA, "3|121|M|technician|85711", "bad age"),
    ],
)
def test_bad_people(format_: Format, line: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        person_parser(format_)(line)
