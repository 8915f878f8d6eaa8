"""The import command on a real Postgres: invalid input is named and changes nothing."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.movielens.command import main
from dataflix_testkit.movielens import RATINGS, write_csv
from dataflix_testkit.oltp import contents, fetch, indexes_and_keys, stored_ratings


@pytest.mark.parametrize(
    "bad_line",
    [
        ("ratings.csv", "1,1", r"ratings\.csv, line 8: wrong number of fields: 2 instead of 4"),
        ("ratings.csv", "3,1,6.0,1000000000", r"ratings\.csv, line 8: rating out of range"),
        ("ratings.csv", "3,99,4.0,1000000000", r"ratings\.csv, line 8: unknown movie: id 99"),
        ("ratings.csv", "1,2,4.0,1", r"line 8: duplicate rating: user 1 rated movie 2 in line 3 too"),
        ("ratings.csv", "1,2,4.0,2000000000", r"ratings\.csv, line 3: duplicate rating: .* in line 8 too"),
        ("movies.csv", "1,Again (1990),Drama", r"movies\.csv, line 6: duplicate movie: id 1"),
        ("movies.csv", "nine,Nine (1990),Drama", r"movies\.csv, line 6: bad movie id"),
        ("links.csv", "99,1,1", r"links\.csv, line 6: unknown movie: id 99"),
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_bad_line_is_named_and_nothing_changed(
    database: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bad_line: tuple[str, str, str],
    *,
    is_empty: bool,
) -> None:
    file, line, complaint = bad_line
    folder = write_csv(tmp_path / "ml")
    if not is_empty:
        assert main([str(folder)]) == 0
    before = (contents(database), indexes_and_keys(database))
    with (folder / file).open("a") as out:
        out.write(line + "\n")
    files = set(tmp_path.rglob("*"))
    assert main([str(folder), "--manifest", str(tmp_path / "manifest.json")]) == 1
    assert re.search(complaint, capsys.readouterr().err)
    assert (contents(database), indexes_and_keys(database)) == before
    assert set(tmp_path.rglob("*")) == files


def test_rejects_collects_every_bad_line_and_goes_on(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{user},{movie},{stars},{seconds}" for user, movie, stars, seconds in RATINGS]
    lines[1:1] = ["what, a line", "5,5,4.0,1000000000"]
    lines += ["1,2,3.0,1999999999", "1,3,3.0,1", "5,1,7,1000000000", "6,99,4.0,1000000000"]
    folder = write_csv(tmp_path / "ml", "\n".join(lines) + "\n")
    with (folder / "movies.csv").open("a") as out:
        out.write("5,Unknown, Comma (1990),Drama\n")
    rejects = tmp_path / "rejects.csv"

    assert main([str(folder), "--rejects", str(rejects)]) == 0

    assert "7 lines rejected" in capsys.readouterr().out
    with rejects.open(newline="") as file:
        rows = [(row["file"], int(row["line"]), row["reason"].partition(":")[0], row["text"])
                for row in csv.DictReader(file)]  # fmt: skip
    assert rows == [
        ("movies.csv", 6, "wrong number of fields", "5,Unknown, Comma (1990),Drama"),
        ("ratings.csv", 3, "wrong number of fields", "what, a line"),
        ("ratings.csv", 12, "rating out of range", "5,1,7,1000000000"),
        ("ratings.csv", 4, "unknown movie", "5,5,4.0,1000000000"),
        ("ratings.csv", 5, "duplicate rating", "1,2,0.5,1000000100"),
        ("ratings.csv", 11, "duplicate rating", "1,3,3.0,1"),
        ("ratings.csv", 13, "unknown movie", "6,99,4.0,1000000000"),
    ]
    kept = [row for row in RATINGS if row[:2] != (1, 2)] + [(1, 2, 3.0, 1_999_999_999)]
    assert stored_ratings(database) == sorted(kept)


stars = st.sampled_from(["0.5", "1.0", "2.5", "4", "5.0", "0", "5.5", "3.3", "x"])
rating_lines = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 3, 7, 99]), stars, st.integers(0, 5)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rating_lines)
def test_random_lines_arrive_all_or_not_at_all(
    database: Connection, tmp_path: Path, rows: list[tuple[int, int, str, int]]
) -> None:
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE users, movies CASCADE")
    text = "".join(f"{user},{movie},{star},{seconds}\n" for user, movie, star, seconds in rows)
    folder = write_csv(tmp_path / "ml", text)
    # Of several ratings the latest counts; of several with the same time, the last.
    usable: dict[tuple[int, int], tuple[int, float]] = {}
    for user, movie, star, seconds in rows:
        if star not in ("0", "5.5", "3.3", "x") and movie != 99:
            before = usable.get((user, movie))
            if before is None or before[0] <= seconds:
                usable[user, movie] = (seconds, float(star))
    expected = sorted((user, movie, star, seconds) for (user, movie), (seconds, star) in usable.items())

    code = main([str(folder), "--quiet"])
    assert code == (0 if len(usable) == len(rows) else 1)
    assert stored_ratings(database) == (expected if code == 0 else [])

    code = main([str(folder), "--quiet", "--rejects", str(tmp_path / "rejects.csv")])
    assert code == (0 if usable else 1)
    assert stored_ratings(database) == expected


def test_a_data_set_that_contradicts_the_database_is_refused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO movies (movie_id, title) VALUES (1, 'Something Else')")
    before = contents(database)
    assert main([str(write_csv(tmp_path))]) == 1
    assert "movie 1 is 'Something Else' there" in capsys.readouterr().err
    assert contents(database) == before


def test_ids_of_other_users_are_not_reused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO users (user_id, username, email) VALUES (2, 'ann', 'ann@example.com')")
    before = contents(database)
    assert main([str(write_csv(tmp_path))]) == 1
    assert "user 2 does not come from this kind of data set" in capsys.readouterr().err
    assert contents(database) == before


def test_a_folder_without_movielens_data_is_refused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert "is not a MovieLens data set. Looked for ratings.csv" in capsys.readouterr().err


def test_a_data_set_without_a_rating_is_refused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_csv(tmp_path, ""))]) == 1
    assert "ratings.csv holds no usable rating" in capsys.readouterr().err


def test_a_server_that_is_down_is_named(
    database: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATAFLIX_POSTGRES_PORT", "1")
    assert main([str(write_csv(tmp_path))]) == 3
    assert "DATAFLIX_POSTGRES_PORT say where" in capsys.readouterr().err


def test_unwritable_output_files_are_found_before_the_import_starts(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([str(write_csv(tmp_path / "ml")), "--rejects", str(tmp_path / "file" / "rejects.csv")]) == 1
    assert "rejects.csv can't be written" in capsys.readouterr().err
    assert fetch(database, "SELECT count(*) FROM movies") == [(0,)]


def test_wrong_use_has_its_own_exit_code() -> None:
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
