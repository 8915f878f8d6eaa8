"""Small data sets in all MovieLens layouts, with invented rows."""

from collections.abc import Callable
from pathlib import Path

MOVIES_CSV = (
    "movieId,title,genres\n"
    '1,"Glass Harbour, The (1994)",Drama|Mystery\n'
    '2,"Night, of Owls (1987)",Horror\n'
    '3,"Été sans fin, L\' (a.k.a. Endless Summer, An) (2001)",Comedy|Romance\n'
    "7,Seven Towers,(no genres listed)\n"
)
LINKS_CSV = "movieId,imdbId,tmdbId\n1,0000123,11\n2,12345678,\n3,,33\n7,0000777,77\n"
RATINGS = (
    (1, 1, 4.0, 1_000_000_000),
    (1, 2, 0.5, 1_000_000_100),
    (1, 3, 5.0, 1_000_000_200),
    (2, 1, 3.5, 1_100_000_000),
    (2, 7, 2.0, 1_100_000_100),
    (40, 3, 4.5, 1_200_000_000),
)
WHOLE_STAR_RATINGS = tuple(
    (user, movie, round(stars + 0.1), seconds) for user, movie, stars, seconds in RATINGS
)


def write_csv(folder: Path, ratings: str | None = None) -> Path:
    """Write a data set like ml-latest-small."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "movies.csv").write_text(MOVIES_CSV, encoding="utf-8")
    (folder / "links.csv").write_text(LINKS_CSV)
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,1,sea,1000000000\n")
    if ratings is None:
        ratings = "".join(f"{user},{movie},{stars},{seconds}\n" for user, movie, stars, seconds in RATINGS)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    return folder


def write_dat(folder: Path) -> Path:
    """Write a data set like ml-1m: colons, Latin-1, users with age groups."""
    folder.mkdir(parents=True, exist_ok=True)
    movies = (
        "1::Glass Harbour, The (1994)::Drama|Mystery\n"
        "2::Night, of Owls (1987)::Horror\n"
        "3::Été sans fin, L' (a.k.a. Endless Summer, An) (2001)::Comedy|Romance\n"
        "7::Seven Towers (1970)::Animation|Children's\n"
    )
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    (folder / "users.dat").write_text(
        "1::F::1::10::48067\n2::M::56::16::70072\n40::M::25::15::55117\n41::F::45::7::02460\n"
    )
    (folder / "ratings.dat").write_text(
        "".join("::".join(map(str, row)) + "\n" for row in WHOLE_STAR_RATINGS)
    )
    return folder


def write_ml10m(folder: Path) -> Path:
    """Write a data set like ml-10m: colons, UTF-8, half stars, no user data."""
    write_dat(folder)
    (folder / "users.dat").unlink()
    movies = (folder / "movies.dat").read_bytes().decode("latin-1")
    (folder / "movies.dat").write_text(movies, encoding="utf-8")
    (folder / "tags.dat").write_text("1::1::sea::1000000000\n2::7::4::1000000000\n")
    ratings = "".join(f"{user}::{movie}::{stars:g}::{seconds}\n" for user, movie, stars, seconds in RATINGS)
    (folder / "ratings.dat").write_text(ratings)
    return folder


def write_udata(folder: Path) -> Path:
    """Write a data set like ml-100k: tabs and bars, Latin-1, ages, and the ratings also in two parts."""
    folder.mkdir(parents=True, exist_ok=True)

    def item(number: int, title: str, date: str, *genres: int) -> str:
        flags = "|".join("1" if place in genres else "0" for place in range(19))
        return f"{number}|{title}|{date}||http://example.org/{number}|{flags}\n"

    items = (
        item(1, "Glass Harbour, The (1994)", "01-Jan-1994", 8, 13)
        + item(2, "Night, of Owls (1987)", "13-Mar-1987", 11)
        + item(3, "Été sans fin, L' (a.k.a. Endless Summer, An) (2001)", "", 5, 14)
        + item(7, "Seven Towers", "07-Jul-1970", 0)
    )
    (folder / "u.item").write_bytes(items.encode("latin-1"))
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n40|7|M|student|T8H1N\n")
    lines = ["\t".join(map(str, row)) + "\n" for row in WHOLE_STAR_RATINGS]
    (folder / "u.data").write_text("".join(lines))
    (folder / "u1.base").write_text("".join(lines[:4]))
    (folder / "u1.test").write_text("".join(lines[4:]))
    (folder / "u.genre").write_text("unknown|0\nAction|1\n\n")
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "csv": write_csv,
    "ml-1m": write_dat,
    "ml-10m": write_ml10m,
    "ml-100k": write_udata,
}
