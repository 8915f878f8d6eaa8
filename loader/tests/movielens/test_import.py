"""The import command against a real Postgres: what arrives."""

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.movielens.command import main
from dataflix_testkit.movielens import RATINGS, WHOLE_STAR_RATINGS, WRITERS, write_csv, write_dat
from dataflix_testkit.oltp import TABLES, contents, fetch, indexes_and_keys, stored_ratings
from dataflix_testkit.process import ROOT


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("is_zipped", [False, True])
def test_every_format_arrives_completely(
    database: Connection, tmp_path: Path, kind: str, is_zipped: bool
) -> None:
    source = WRITERS[kind](tmp_path / "ml")
    if is_zipped:
        source = tmp_path / "ml.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in (tmp_path / "ml").iterdir():
                archive.write(file, f"some/folder/{file.name}")
    before = indexes_and_keys(database)

    assert main([str(source)]) == 0

    expected = RATINGS if kind in ("csv", "ml-10m") else WHOLE_STAR_RATINGS
    assert stored_ratings(database) == sorted(expected)
    assert fetch(database, "SELECT movie_id, title, release_year FROM movies ORDER BY 1") == [
        (1, "The Glass Harbour", 1994),
        (2, "Night, of Owls", 1987),
        (3, "L'Été sans fin (a.k.a. An Endless Summer)", 2001),
        (7, "Seven Towers", {"csv": None}.get(kind, 1970)),
    ]
    # A rating is also a view, at the same time.
    assert fetch(database, "SELECT user_id, movie_id, watched_at FROM watched_movies ORDER BY 1, 2") == fetch(
        database, "SELECT user_id, movie_id, rated_at FROM ratings ORDER BY 1, 2"
    )
    assert indexes_and_keys(database) == before


def test_details_of_movies_arrive(database: Connection, tmp_path: Path) -> None:
    assert main([str(write_csv(tmp_path))]) == 0
    assert fetch(database, "SELECT movie_id, genres, imdb_id, tmdb_id FROM movies ORDER BY 1") == [
        (1, ["Drama", "Mystery"], "tt0000123", 11),
        (2, ["Horror"], "tt12345678", None),
        (3, ["Comedy", "Romance"], None, 33),
        (7, [], "tt0000777", 77),
    ]


def test_users_are_invented_and_known_ages_kept(database: Connection, tmp_path: Path) -> None:
    assert main([str(write_dat(tmp_path))]) == 0
    users = fetch(
        database,
        "SELECT user_id, birth_year, extract(year FROM created_at)::int, email FROM users ORDER BY user_id",
    )
    # User 41 never rated, but is in the user file; ages are the middles of ml-1m's groups.
    ages = [(user, joined - born) for user, born, joined, _ in users]
    assert ages == [(1, 16), (2, 60), (40, 30), (41, 47)]
    assert all(email.endswith("@movielens.example.org") for *_, email in users)
    assert fetch(database, "SELECT count(*) FROM users WHERE first_name = '' OR city IS NULL") == [(0,)]


def test_importing_again_changes_nothing(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_csv(tmp_path / "ml")
    assert main([str(folder)]) == 0
    before = contents(database)
    capsys.readouterr()
    assert main([str(folder), "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert contents(database) == before
    assert set(changes) == set(TABLES)
    assert all(done == {"inserted": 0, "updated": 0} for done in changes.values())


def test_a_grown_data_set_adds_what_is_new(database: Connection, tmp_path: Path) -> None:
    assert main([str(write_csv(tmp_path))]) == 0
    lines = [f"{user},{movie},{stars},{seconds}" for user, movie, stars, seconds in RATINGS]
    lines[0] = "1,1,2.0,1300000000"
    lines.append("50,2,1.5,1300000100")
    write_csv(tmp_path, "\n".join(lines))
    assert main([str(tmp_path)]) == 0
    expected = [*RATINGS[1:], (1, 1, 2.0, 1_300_000_000), (50, 2, 1.5, 1_300_000_100)]
    assert stored_ratings(database) == sorted(expected)
    assert fetch(database, "SELECT count(*) FROM watched_movies") == [(len(expected),)]


def test_changes_of_the_application_survive_a_second_import(database: Connection, tmp_path: Path) -> None:
    folder = write_csv(tmp_path)
    assert main([str(folder)]) == 0
    with database.cursor() as cursor:
        cursor.execute("UPDATE ratings SET rating = 1, rated_at = now() WHERE user_id = 1 AND movie_id = 1")
        cursor.execute("UPDATE movies SET director = 'Somebody' WHERE movie_id = 1")
        cursor.execute(
            "INSERT INTO users (username, email) VALUES ('ann', 'ann@example.com') RETURNING user_id"
        )
        assert cursor.fetchone() == (41,)  # beyond every imported id
        cursor.execute("INSERT INTO movies (title) VALUES ('New') RETURNING movie_id")
        assert cursor.fetchone() == (8,)
    before = contents(database)
    assert main([str(folder)]) == 0
    assert contents(database) == before


def test_manifest_holds_files_rows_and_hashes(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_csv(tmp_path / "ml")
    assert main([str(folder), "--manifest", str(tmp_path / "manifest.json"), "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    manifest = json.loads(captured.out)
    assert captured.err == ""
    assert manifest == json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["rows"] == {"movies": 4, "ratings": 6, "users": 3}
    assert [(file["name"], file["rows"], file["rejected"]) for file in manifest["files"]] == [
        ("movies.csv", 4, 0),
        ("links.csv", 4, 0),
        ("ratings.csv", 6, 0),
    ]
    for file in manifest["files"]:
        raw = (folder / file["name"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())


def test_manifest_is_in_the_home_folder_by_default(database: Connection, tmp_path: Path) -> None:
    assert main([str(write_csv(tmp_path))]) == 0
    (manifest,) = Path(os.environ["DATAFLIX_HOME"]).glob("imports/*")
    assert json.loads(manifest.read_text())["format"] == "csv"


@pytest.mark.skipif(not os.environ.get("MOVIELENS_DIR"), reason="MOVIELENS_DIR names no MovieLens folder")
def test_a_real_data_set_arrives_completely(database: Connection) -> None:
    folder = Path(os.environ["MOVIELENS_DIR"])
    with (folder / "ratings.csv").open(newline="") as file:
        rows = [(int(r["userId"]), int(r["movieId"]), float(r["rating"]), int(r["timestamp"]))
                for r in csv.DictReader(file)]  # fmt: skip
    with (folder / "movies.csv").open(newline="", encoding="utf-8") as file:
        movies = {int(row["movieId"]): row for row in csv.DictReader(file)}
    assert main([str(folder), "--quiet"]) == 0
    assert stored_ratings(database) == sorted(rows)
    assert fetch(database, "SELECT count(*) FROM users") == [(len({row[0] for row in rows}),)]
    stored = fetch(database, "SELECT movie_id, title, release_year, cardinality(genres) FROM movies")
    assert {movie for movie, *_ in stored} == set(movies)
    for movie, title, year, genres in stored:
        raw = movies[movie]
        assert ", The" not in title or not title.endswith(", The")
        assert year is None or f"({year}" in raw["title"]
        assert genres == (0 if raw["genres"] == "(no genres listed)" else raw["genres"].count("|") + 1)


def test_memory_does_not_grow_with_the_file(database: Connection, tmp_path: Path) -> None:
    script = ROOT / "scripts" / "import_movielens.py"
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )

    def peak_bytes(name: str, n_movies: int) -> tuple[int, int]:
        movies, rows = io.StringIO(), io.StringIO()
        movies.write("movieId,title,genres\n")
        for movie in range(1, n_movies + 1):
            movies.write(f"{movie},Movie {movie} (2000),Drama\n")
        for user in range(1, 301):
            for movie in range(1, n_movies + 1):
                rows.write(f"{user},{movie},4.0,{1_000_000_000 + movie}\n")
        folder = write_csv(tmp_path / name, rows.getvalue())
        (folder / "links.csv").unlink()
        (folder / "movies.csv").write_text(movies.getvalue())
        with database.cursor() as cursor:
            cursor.execute("TRUNCATE users, movies CASCADE")
        command = [sys.executable, "-c", measure, sys.executable, str(script), str(folder), "--quiet"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(output.split()[-1]) * 1024, len(rows.getvalue())

    small_peak, small_file = peak_bytes("small", 20)
    large_peak, large_file = peak_bytes("large", 1500)
    assert large_peak - small_peak < (large_file - small_file) / 2
