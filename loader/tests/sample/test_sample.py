"""The sample: reproducible, large enough, and with preferences that a recommender can find."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.sample import generate_command, load_command
from dataflix_loader.sample.catalogue import read_catalogue
from dataflix_loader.sample.events import LAST_DAY
from dataflix_loader.sample.files import TABLES, write_sample

MOVIES = {movie.movie_id: movie for movie in read_catalogue()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, n_users=50, seed=seed)
    files = {name: [(tmp_path / name / f"{table}.csv").read_bytes() for table in TABLES] for name in "abc"}
    assert files["a"] == files["b"]
    assert files["a"][2] != files["c"][2]


def test_it_is_large_enough(sample: Path) -> None:
    assert len(read(sample, "users")) >= 1000
    assert len(read(sample, "movies")) >= 250
    assert len(read(sample, "ratings")) >= 40_000
    assert len(read(sample, "watched_movies")) > len(read(sample, "ratings"))


def test_ratings_lie_within_two_years_and_after_joining(sample: Path) -> None:
    end = LAST_DAY.timestamp() + 86_400
    joined = {row["user_id"]: int(row["created_epoch"]) for row in read(sample, "users")}
    for row in read(sample, "watched_movies"):
        assert joined[row["user_id"]] <= int(row["watched_epoch"]) < end
    assert min(joined.values()) >= end - 730 * 86_400
    # Trends decay from the latest event on: there must be enough near the end.
    late = sum(int(row["watched_epoch"]) > end - 30 * 86_400 for row in read(sample, "watched_movies"))
    assert late > 2000


def test_every_kind_of_opinion_occurs(sample: Path) -> None:
    ratings = read(sample, "ratings")
    stars = Counter(float(row["rating"]) for row in ratings)
    assert set(stars) == {half / 2 for half in range(1, 11)}
    assert 3.3 < sum(value * count for value, count in stars.items()) / len(ratings) < 3.8
    liked = Counter(row["liked"] for row in ratings)
    assert set(liked) == {"true", "false", ""}
    assert all(float(row["rating"]) >= 4 for row in ratings if row["liked"] == "true")
    watched = {(row["user_id"], row["movie_id"]) for row in read(sample, "watched_movies")}
    rated = {(row["user_id"], row["movie_id"]) for row in ratings}
    assert rated < watched


def test_popularity_has_a_long_tail_and_some_users_are_new(sample: Path) -> None:
    watched = read(sample, "watched_movies")
    views = sorted(Counter(row["movie_id"] for row in watched).values(), reverse=True)
    assert len(views) == len(MOVIES)
    assert sum(views[: len(views) // 5]) > 0.35 * sum(views)
    assert views[0] > 8 * views[-1]
    assert {row["user_id"] for row in watched} < {row["user_id"] for row in read(sample, "users")}


def test_trending_movies_at_the_end_differ_from_popular_ones(sample: Path) -> None:
    watched = read(sample, "watched_movies")
    month_ago = LAST_DAY.timestamp() - 30 * 86_400
    ever = Counter(row["movie_id"] for row in watched)
    lately = Counter(row["movie_id"] for row in watched if int(row["watched_epoch"]) > month_ago)
    top_ever, top_lately = ({movie for movie, _ in top.most_common(20)} for top in (ever, lately))
    assert len(top_ever & top_lately) < 15


def test_a_plain_factor_model_gives_fans_their_genre(sample: Path) -> None:
    """Factors of the ratings alone, no genres: fans of a genre must get more of it than others do."""
    users = sorted({int(row["user_id"]) for row in read(sample, "ratings")})
    row_of, column_of = ({key: place for place, key in enumerate(keys)} for keys in (users, sorted(MOVIES)))
    matrix = np.zeros((len(users), len(MOVIES)))
    liked: dict[int, Counter[str]] = defaultdict(Counter)
    for row in read(sample, "ratings"):
        user, movie, stars = int(row["user_id"]), int(row["movie_id"]), float(row["rating"])
        matrix[row_of[user], column_of[movie]] = max(stars - 2.5, 0)
        if stars >= 4:
            liked[user].update(MOVIES[movie].genres)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    scores = (left[:, :16] * values[:16]) @ right[:16]
    scores[matrix > 0] = -np.inf
    top = np.argsort(-scores, axis=1)[:, :10]
    movies = sorted(MOVIES)
    for genre in ("Horror", "Animation", "War", "Musical", "Sci-Fi", "Western"):
        share = np.array(
            [np.mean([genre in MOVIES[movies[place]].genres for place in places]) for places in top]
        )
        total = {user: max(sum(liked[user].values()), 1) for user in users}
        fondness = np.array([liked[user][genre] / total[user] for user in users])
        fans = fondness >= np.quantile(fondness, 0.95)
        assert share[fans].mean() > 2 * share[~fans].mean(), genre


def test_the_command_writes_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_command.main([str(tmp_path / "new"), "--users", "20", "--seed", "3"]) == 0
    assert "20 users" in capsys.readouterr().out
    assert {file.stem for file in (tmp_path / "new").iterdir()} == set(TABLES)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert generate_command.main([str(tmp_path / "file" / "sample")]) == 1
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
@pytest.mark.parametrize("table", ["ratings", "watched_movies"])
def test_files_that_are_there_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, table: str
) -> None:
    folder, elsewhere = tmp_path / "ml-latest", tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / f"{table}.csv"
    if kind == "file":
        path.write_text("userId,movieId,rating,timestamp\n1,1,4,964982703\n")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.write_text("mine")
    before = path.lstat()
    assert generate_command.main([str(folder), "--users", "20"]) == 1
    assert f"There already: {path}. Nothing was written." in capsys.readouterr().err
    assert list(folder.iterdir()) == [path]
    assert path.lstat() == before
    assert elsewhere.exists() == (kind == "link")


def test_files_are_replaced_on_request_and_links_are_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "ratings.csv").symlink_to(mine)
    assert generate_command.main([str(tmp_path), "--users", "20", "--replace"]) == 0
    assert mine.read_text() == "mine"
    assert (tmp_path / "ratings.csv").read_text().startswith("user_id,movie_id,")


@pytest.mark.parametrize("table", ["users", "watched_movies"])
def test_a_folder_in_the_place_of_a_file_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    (tmp_path / "movies.csv").write_text("mine")
    (tmp_path / f"{table}.csv").mkdir()
    assert generate_command.main([str(tmp_path), "--users", "20", "--replace"]) == 1
    assert f"{table}.csv is a folder. Nothing was written." in capsys.readouterr().err
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(["movies", table])
    assert (tmp_path / "movies.csv").read_text() == "mine"


@pytest.mark.parametrize("users", ["0", "-1", "many", "100001", "9" * 5000])
def test_a_wrong_number_of_users_is_refused(users: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        generate_command.main(["folder", "--users", users])
    assert left.value.code == 2
    assert f"must be a whole number from 1 to 100000, not '{users[:4]}" in capsys.readouterr().err


def test_loading_twice_changes_nothing(
    database: Connection, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def contents() -> list[list[tuple[object, ...]]]:
        with database.cursor() as cursor:
            found = []
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
                found.append(cursor.fetchall())
            return found

    assert load_command.main(["--quiet"]) == 0
    first = contents()
    assert [len(rows) for rows in first] == [len(read(sample, table)) for table in TABLES]
    capsys.readouterr()
    assert load_command.main(["--quiet"]) == 0
    assert "; 0 rows new or changed" in capsys.readouterr().out
    assert contents() == first
    with database.cursor() as cursor:
        cursor.execute("SELECT title, genres, director, duration_minutes FROM movies WHERE title = 'Alien'")
        assert cursor.fetchall() == [("Alien", ["Horror", "Sci-Fi"], "Ridley Scott", 117)]
        cursor.execute("SELECT count(*) FROM users WHERE email NOT LIKE '%@sample.example.org'")
        assert cursor.fetchone() == (0,)


def test_it_is_not_loaded_over_another_catalogue(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO movies (movie_id, title) VALUES (1, 'Something Else')")
    assert load_command.main(["--users", "20", "--quiet"]) == 1
    assert "Something Else" in capsys.readouterr().err


def test_ids_of_deleted_people_and_movies_are_never_given_again(database: Connection) -> None:
    """Otherwise the erasures of the sample's users would meet other people in the warehouse."""
    assert load_command.main(["--users", "20", "--quiet"]) == 0
    with database.cursor() as cursor:
        cursor.execute("SELECT max(user_id) FROM users")
        ((last_user,),) = cursor.fetchall()
        cursor.execute("DELETE FROM users; DELETE FROM movies")
        cursor.execute(
            "INSERT INTO users (username, email) VALUES ('ann', 'ann@example.org') RETURNING user_id"
        )
        ((user,),) = cursor.fetchall()
        cursor.execute("INSERT INTO movies (title) VALUES ('Theirs') RETURNING movie_id")
        ((movie,),) = cursor.fetchall()
        assert user > last_user
        assert movie > max(MOVIES)
        cursor.execute("SELECT count(*), count(*) FILTER (WHERE is_id_in_use) FROM masked._erasures")
        assert cursor.fetchall() == [(last_user, 0)]
