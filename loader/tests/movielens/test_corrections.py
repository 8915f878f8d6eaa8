"""A newer edition corrects titles and years; another catalogue is refused."""

import json
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.movielens.command import main
from dataflix_testkit.oltp import contents, fetch

RATINGS = "userId,movieId,rating,timestamp\n1,1,4,964982703\n1,2,4,964982703\n"


def write(folder: Path, movies: list[str], links: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{line}\n" for line in movies))
    (folder / "ratings.csv").write_text(RATINGS)
    if links:
        (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n" + links)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "stored", "counted"),
    [
        ("Seven (1995)", "Seven (a.k.a. Se7en) (1995)", ("Seven (a.k.a. Se7en)", 1995), (1, 0)),
        ("Seven (1995)", "Se7en (1995)", ("Se7en", 1995), (1, 0)),
        ("Heat (1995)", "Heat (1986)", ("Heat", 1986), (0, 1)),
        ("Heat", "Heat (1995)", ("Heat", 1995), (0, 0)),
        ("Heat (1995)", "Heat", ("Heat", 1995), (0, 0)),
        ("Amelie (2001)", "Fabuleux destin d'Amélie Poulain, Le (2001)",
         ("Le Fabuleux destin d'Amélie Poulain", 2001), (1, 0)),
        ("MATRIX, THE (1998)", "Matrix, The (1999)", ("The Matrix", 1999), (1, 1)),
        ("Pokemon (1998)", "Pokémon: The Movie (1998)", ("Pokémon: The Movie", 1998), (1, 0)),
    ],
)  # fmt: skip
def test_a_corrected_title_or_year_is_taken_over_and_counted(
    database: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    old: str,
    new: str,
    stored: tuple[str, int],
    counted: tuple[int, int],
) -> None:
    before = [f'1,"{old}",Drama', "2,Toy Story (1995),Animation"]
    assert main([str(write(tmp_path, before)), "--quiet"]) == 0
    after = [f'1,"{new}",Drama', "2,Toy Story (1995),Animation", "3,New (2001),Drama"]
    capsys.readouterr()
    assert main([str(write(tmp_path, after)), "--quiet", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["corrections"] == {"titles": counted[0], "years": counted[1]}
    assert fetch(database, "SELECT title, release_year FROM movies WHERE movie_id = 1") == [stored]
    assert fetch(database, "SELECT count(*) FROM movies") == [(3,)]
    assert main([str(tmp_path), "--quiet", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["corrections"] == {"titles": 0, "years": 0}
    assert all(done == {"inserted": 0, "updated": 0} for done in again["changes"].values())


def test_a_summary_counts_corrections(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write(tmp_path, ["1,Seven (1995),Crime", "2,Heat (1995),Crime"]))]) == 0
    assert "corrected" not in capsys.readouterr().out
    assert main([str(write(tmp_path, ["1,Se7en (1995),Crime", "2,Heat (1996),Crime"]))]) == 0
    assert "1 titles and 1 years corrected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GoldenEye (1995)", "Jumanji (1995)"),
        ("Toy Story (1995)", "Toy Story 2 (1999)"),
        ("Titanic (1997)", "Titanic Rises (2017)"),
        ("...", "!!! Drama (1990)"),
    ],
)
def test_one_other_movie_among_equal_ones_is_refused_unless_it_is_accepted(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    others = [f"{number},Movie {number} (2000),Drama" for number in range(2, 40)]
    assert main([str(write(tmp_path, [f"1,{old},Drama", *others])), "--quiet"]) == 0
    before = contents(database)
    write(tmp_path, [f"1,{new},Drama", *others])
    assert main([str(tmp_path), "--quiet"]) == 1
    message = capsys.readouterr().err
    assert "The database holds another catalogue: movie 1 is" in message
    assert "--accept-other-titles" in message
    assert contents(database) == before
    assert main([str(tmp_path), "--quiet", "--accept-other-titles"]) == 0
    assert "1 titles" in capsys.readouterr().out


def test_another_catalogue_is_refused_with_the_number_of_other_movies(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main([str(write(tmp_path, ["1,Toy Story (1995),A", "2,GoldenEye (1995),A", "3,Babe (1995),A"]))]) == 0
    )
    assert (
        main([str(write(tmp_path, ["1,Toy Story (1995),A", "2,Jumanji (1995),A", "3,Heat (1995),A"]))]) == 1
    )
    assert "and 1 more movies differ like this" in capsys.readouterr().err


def test_the_same_id_at_imdb_makes_any_title_a_correction(database: Connection, tmp_path: Path) -> None:
    links = "1,0245429,\n2,,862\n"
    before = ["1,Sen to Chihiro (2001),A", "2,Placeholder (1990),A"]
    assert main([str(write(tmp_path, before, links)), "--quiet"]) == 0
    after = ["1,Spirited Away (2001),A", "2,Toy Story (1995),A"]
    assert main([str(write(tmp_path, after, links)), "--quiet"]) == 0
    assert fetch(database, "SELECT title FROM movies ORDER BY movie_id") == [
        ("Spirited Away",),
        ("Toy Story",),
    ]
