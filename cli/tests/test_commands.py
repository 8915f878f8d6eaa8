"""Every subcommand against a real API."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from dataflix_cli import views
from dataflix_cli.output import Output

from .conftest import Invoke, Server
from .support.data import IDS_BELOW

_numbers = itertools.count()


def answer(dataflix: Invoke, *arguments: str) -> Any:
    result = dataflix(*arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.fixture
def user(dataflix: Invoke) -> str:
    """Name of a new user."""
    name = f"trinity{next(_numbers)}"
    answer(dataflix, "users", "create", name, f"{name}@example.org")
    return name


def test_created_user_is_shown_and_listed(dataflix: Invoke) -> None:
    options = ("--first-name", "Thomas", "--city", "Bern", "--birth-year", "1971")
    created = answer(dataflix, "users", "create", "Mr.Anderson", "anderson@example.org", *options)
    assert answer(dataflix, "users", "show", "mr.anderson") == created
    listed = dataflix("users", "list", "mr.")
    assert "Mr.Anderson" in listed.out
    assert "Thomas" in dataflix("users", "show", str(created["user_id"])).out
    again = dataflix("users", "create", "MR.ANDERSON", "other@example.org")
    assert (again.code, again.out) == (2, "")
    assert "taken" in again.err


def test_exact_name_is_found_among_many_that_start_with_it(dataflix: Invoke) -> None:
    for number in range(30):
        answer(dataflix, "users", "create", f"ares{number}", f"ares{number}@example.org")
    missing = dataflix("users", "show", "are")
    assert missing.code == 3
    assert missing.err.count("ares") == 10
    created = answer(dataflix, "users", "create", "ares", "ares@example.org")
    for name in ("ares", "name:ares", f"id:{created['user_id']}"):
        assert answer(dataflix, "users", "show", name) == created


def test_number_never_means_the_wrong_person(dataflix: Invoke) -> None:
    first = answer(dataflix, "users", "create", "first", "first@example.org")["user_id"]
    number = str(first)
    second = answer(dataflix, "users", "create", number, "second@example.org")["user_id"]
    for command in (("users", "show"), ("recommend",), ("ratings", "list"), ("user", "erase", "--yes")):
        refused = dataflix(*command, number)
        assert (refused.code, refused.out) == (2, "")
        assert f"id:{number}, or name:{number}" in refused.err
    assert dataflix("rate", number, "Amélie", "4").code == 2
    assert answer(dataflix, "users", "show", f"id:{number}")["username"] == "first"
    assert answer(dataflix, "users", "show", f"name:{number}")["user_id"] == second
    # One that is nobody's id is a name alone, zeros included.
    answer(dataflix, "users", "create", "0192837", "third@example.org")
    assert answer(dataflix, "users", "show", "0192837")["username"] == "0192837"
    assert dataflix("users", "show", "192837").code == 3
    assert dataflix("users", "show", "id:five").code == 2
    assert answer(dataflix, "movies", "show", "id:1")["movie_id"] == 1


@pytest.mark.parametrize("digits", [31, 5000])
def test_endless_number_is_nobody(dataflix: Invoke, digits: int) -> None:
    for command in (("users", "show"), ("movies", "show")):
        result = dataflix(*command, "id:" + "1" * digits)
        assert (result.code, result.out) == (3, "")
        assert "There is no" in result.err


def test_a_user_is_exported_and_erased(dataflix: Invoke, user: str, tmp_path: Path) -> None:
    user_id = answer(dataflix, "users", "show", user)["user_id"]
    answer(dataflix, "rate", user, "1", "4")
    exported = answer(dataflix, "user", "export", user)
    assert exported["user"]["username"] == user
    assert [row["movie_id"] for row in exported["ratings"]] == [1]
    file = tmp_path / "mine.json"
    assert dataflix("user", "export", user, "--file", str(file)).code == 0
    assert json.loads(file.read_text())["ratings"] == exported["ratings"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert dataflix("user", "export", user, "--file", str(tmp_path / "no" / "where")).code == 2

    erased = answer(dataflix, "user", "erase", user, "--yes")
    assert (erased["ratings_count"], erased["verified_at"]) == (1, None)
    shown = dataflix("users", "erasure", str(erased["erasure_id"]))
    assert "at the end of the next pipeline" in shown.out
    assert dataflix("users", "show", str(user_id)).code == 3
    assert dataflix("user", "erase", str(user_id), "--yes").code == 3


def test_movies_are_searched_filtered_and_paged(dataflix: Invoke) -> None:
    found = answer(dataflix, "movies", "list", "matr", "--year-to", "2000")
    assert [row["title"] for row in found["data"]] == ["The Matrix"]
    page = dataflix("movies", "list", "--genre", "comedy", "--limit", "5", "--offset", "5")
    assert page.out.count("Comedy Movie") == 5
    assert page.err == "6 to 10 of 16.\n--offset 10 shows more.\n"
    assert "Nothing found." in dataflix("movies", "list", "no such movie").err


@pytest.mark.parametrize("name", ["the matrix", "The Matrix (1999)", "title: the matrix"])
def test_movie_is_shown_by_title(dataflix: Invoke, name: str) -> None:
    assert answer(dataflix, "movies", "show", name)["release_year"] == 1999


def test_number_never_means_the_wrong_movie(dataflix: Invoke, server: Server, user: str) -> None:
    wanted = server.catalogue.movies["1917", 2019]
    for name in ("title:1917", "1917", f"id:{wanted}", str(wanted)):
        assert answer(dataflix, "movies", "show", name)["movie_id"] == wanted
    number = str(IDS_BELOW)
    assert server.catalogue.movies["Comedy Movie 14", 1974] == IDS_BELOW
    titled = server.catalogue.movies[number, 2020]
    for command in (
        ("movies", "show", number),
        ("rate", user, number, "4"),
        ("block", "add", user, number),
        ("watched", "add", user, number),
    ):
        refused = dataflix(*command)
        assert (refused.code, refused.out) == (2, "")
        assert f"Give id:{number} or title:{number}." in refused.err
    assert answer(dataflix, "movies", "show", f"id:{number}")["movie_id"] == IDS_BELOW
    assert answer(dataflix, "movies", "show", f"title:{number}")["movie_id"] == titled
    assert dataflix("movies", "show", "99999").code == 3


def test_ambiguous_title_names_the_candidates(dataflix: Invoke, server: Server) -> None:
    result = dataflix("movies", "show", "Solaris")
    assert (result.code, result.out) == (2, "")
    for year in (1972, 2002):
        assert f"{server.catalogue.movies['Solaris', year]}  Solaris ({year})" in result.err
    assert answer(dataflix, "movies", "show", "solaris (1972)")["release_year"] == 1972


def test_similar_movies_are_ranked(dataflix: Invoke) -> None:
    rows = answer(dataflix, "movies", "similar", "Amélie", "-n", "3")["data"]
    assert [row["genres"] for row in rows] == [["Comedy"]] * 3
    assert "By model 3" in dataflix("movies", "similar", "Amélie").err


def test_rating_changes_recommendations_until_it_is_removed(
    dataflix: Invoke, user: str, server: Server
) -> None:
    answer(dataflix, "rate", user, "Drama Movie 00", "5")
    before = answer(dataflix, "recommend", user, "-n", "5")["data"]
    assert {row["genres"][0] for row in before} == {"Drama"}
    rated = dataflix("rate", user, "the matrix (1999)", "4,5", "--like")
    assert (rated.code, rated.out) == (0, "")
    assert "The Matrix: 4.5 of 5" in rated.err
    after = dataflix("recommend", user, "-n", "5")
    assert "The Matrix Reloaded (2003)" in after.out
    assert "Because you rated The Matrix 4.5★" in after.out
    ratings = answer(dataflix, "ratings", "list", user)["data"]
    assert [(row["rating"], row["liked"]) for row in ratings] == [(4.5, True), (5.0, None)]
    removed = answer(dataflix, "ratings", "remove", user, "the matrix (1999)")
    assert removed["movie_id"] == server.catalogue.movies["The Matrix", 1999]
    assert answer(dataflix, "recommend", user, "-n", "5")["data"] == before
    assert dataflix("ratings", "remove", user, "the matrix (1999)").code == 3


def test_thumb_is_set_and_removed(dataflix: Invoke, user: str) -> None:
    assert answer(dataflix, "ratings", "add", user, "Amélie", "2", "--dislike")["liked"] is False
    assert answer(dataflix, "ratings", "add", user, "Amélie", "2.5")["liked"] is False
    assert answer(dataflix, "ratings", "add", user, "Amélie", "3", "--no-opinion")["liked"] is None


def test_watched_movie_is_listed_and_never_recommresult(dataflix: Invoke, user: str) -> None:
    answer(dataflix, "watched", "add", user, "Amélie")
    first = answer(dataflix, "recommend", user)["data"][0]
    marked = dataflix("watched", "add", user, str(first["movie_id"]), "--at", "2024-02-29")
    assert "watched 2024-02-29 00:00" in marked.err
    assert first["movie_id"] not in [row["movie_id"] for row in answer(dataflix, "recommend", user)["data"]]
    listed = dataflix("watched", "list", user)
    assert listed.out.index("Amélie") < listed.out.index(first["title"])


def test_charts_genres_model_and_health_print_answers(dataflix: Invoke) -> None:
    assert len(answer(dataflix, "trending", "--limit", "3")["data"]) == 3
    assert len(answer(dataflix, "popular", "--limit", "3")["data"]) == 3
    assert dataflix("popular", "--offset", "5000").err.startswith("Nothing found.\n")
    assert "Sci-Fi" in dataflix("genres").out
    model = dataflix("model").out
    assert "ndcg@10" in model
    assert "0.420" in model
    assert answer(dataflix, "health")["checks"] == {"postgres": "ok", "model": "3"}


def test_json_is_also_an_option_of_the_main_command(dataflix: Invoke) -> None:
    assert json.loads(dataflix("--json", "genres").out) == answer(dataflix, "genres")


@pytest.mark.parametrize("rating", ["0", "5.5", "3.7", "good", "nan", "-1", "1e999"])
def test_bad_rating_is_refused_with_the_scale(dataflix: Invoke, user: str, rating: str) -> None:
    result = dataflix("rate", user, "Amélie", "--", rating)
    assert (result.code, result.out) == (2, "")
    assert "0.5 to 5 in steps of 0.5" in result.err
    assert answer(dataflix, "ratings", "list", user)["data"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("recommend", "999999"), 3, "There is no user with the id 999999."),
        (("recommend", "1" + "0" * 30), 3, "1" + "0" * 30),
        (("recommend", "nobody"), 3, "no user named nobody"),
        (("recommend", "ne"), 3, "Users whose names start with it: neo."),
        (("recommend", ""), 2, "id or username"),
        (("recommend", "neo", "-n", "0"), 2, "1<=x<=100"),
        (("rate", "neo", "999999", "4"), 3, "There is no movie with the id 999999."),
        (("rate", "neo", "no such movie", "4"), 3, "There is no movie titled no such movie."),
        (("rate", "neo", " ", "4"), 2, "id or title"),
        (("rate", "neo"), 2, "Missing argument"),
        (("movies", "list", "--year-from", "2000", "--year-to", "1990"), 2, "year_from"),
        (("movies", "list", "--limit", "1000000000"), 2, "1<=x<=100"),
        (("users", "create", "with blank", "x@example.org"), 2, "username"),
        (("users", "create", "x", "not-an-address"), 2, "email"),
        (("watched", "add", "neo", "Amélie", "--at", "2990-01-01"), 2, "watched_at"),
        (("watched", "add", "neo", "Amélie", "--at", "yesterday"), 2, "yesterday"),
        (("reccomend", "1"), 2, "reccomend"),
    ],
)
def test_bad_input_is_reported_without_data(
    dataflix: Invoke, arguments: tuple[str, ...], code: int, message: str
) -> None:
    for more in ((), ("--json",)):
        result = dataflix(*arguments, *more)
        assert (result.code, result.out) == (code, "")
        assert message in " ".join(result.err.split())


def test_hostile_title_cannot_control_the_terminal(dataflix: Invoke) -> None:
    for more in ((), ("--json",)):
        result = dataflix("movies", "list", "evil", *more)
        assert "Evil" in result.out
        assert not set("\x1b\x9b\u202e") & set(result.out + result.err)
    assert answer(dataflix, "movies", "list", "evil")["data"][0]["title"].startswith("Evil \x1b[31m")


def test_suggestions_are_printed_as_lines(dataflix: Invoke) -> None:
    refused = dataflix("movies", "show", "solaris")
    lines = refused.err.splitlines()
    assert "Give the id of one:" in lines
    assert [line.split("  ")[-1] for line in lines[-2:]] == ["Solaris (1972)", "Solaris (2002)"]
    assert "\\n" not in refused.err


def test_a_held_model_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    described = {
        **dict.fromkeys(("version", "factors", "users_count", "movies_count", "interactions_count"), 1),
        **dict.fromkeys(("trained_at", "loaded_at", "registry_reached_at"), "2026-11-30T08:00:00Z"),
        "metrics": {},
    }
    hold = {"held": True, "held_since": "2026-11-30T08:00:00Z", "held_reason": "Bad \x1b[31m lists"}
    views.model(Output(), described | hold)
    shown = capsys.readouterr().out
    assert "until trainer release: Bad" in shown
    assert "\x1b" not in shown
    views.model(Output(), described | {"held": False, "held_since": None, "held_reason": None})
    # An API of an earlier version says nothing of it.
    views.model(Output(), described)
    assert "Held" not in capsys.readouterr().out


def test_an_unknown_genre_names_the_nearest(dataflix: Invoke, user: str) -> None:
    for command in (("movies", "list", "--genre", "scifi"), ("recommend", user, "--genre", "scifi")):
        refused = dataflix(*command)
        assert (refused.code, refused.out) == (2, "")
        assert "There is no genre 'scifi'. Did you mean Sci-Fi?" in refused.err
        assert "dataflix genres lists all genres." in refused.err


def test_a_movie_is_added_with_its_fields(dataflix: Invoke) -> None:
    options = ("--genre", "Action", "--genre", "Thriller", "--year", "1998", "--minutes", "81")
    added = answer(dataflix, "movies", "add", "Lola rennt", *options)
    assert added["genres"] == ["Action", "Thriller"]
    assert (added["release_year"], added["duration_minutes"], added["director"]) == (1998, 81, None)
    again = dataflix("movies", "add", "Lola rennt", "--year", "1998")
    assert again.code == 2
    assert str(added["movie_id"]) in again.err
    assert dataflix("movies", "add", "Lola rennt", "--year", "1998", "--allow-same-title").code == 0
    assert dataflix("movies", "add", " ").code == 2


def test_a_view_is_taken_back(dataflix: Invoke, user: str) -> None:
    answer(dataflix, "watched", "add", user, "amélie")
    assert "not watched" in dataflix("watched", "remove", user, "amélie").err
    assert answer(dataflix, "watched", "list", user)["data"] == []
    assert dataflix("watched", "remove", user, "amélie").code == 3
