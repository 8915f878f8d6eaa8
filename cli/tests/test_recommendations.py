"""Options of recommendations, sessions, rules, blocks and feedback, against a real API."""

import itertools
import re
from collections.abc import Iterator

import pytest

from dataflix_cli.commands import rules

from .conftest import Invoke, Server
from .test_commands import answer

_numbers = itertools.count()


@pytest.fixture
def fan(dataflix: Invoke) -> str:
    """Name of a new user who likes science fiction."""
    name = f"ripley{next(_numbers)}"
    answer(dataflix, "users", "create", name, f"{name}@example.org")
    answer(dataflix, "rate", name, "The Matrix (1999)", "5")
    answer(dataflix, "watched", "add", name, "Solaris (1972)")
    return name


@pytest.fixture
def no_rules(dataflix: Invoke) -> Iterator[None]:
    yield
    for row in answer(dataflix, "rules", "list", "--all")["data"]:
        assert dataflix("rules", "remove", str(row["rule_id"])).code == 0


def titles(dataflix: Invoke, *arguments: str) -> list[str]:
    return [row["title"] for row in answer(dataflix, *arguments)["data"]]


def test_filters_leave_out_and_options_rerank(dataflix: Invoke, fan: str) -> None:
    dramas = answer(dataflix, "recommend", fan, "--genre", "drama", "--genre", "comedy", "-n", "100")["data"]
    assert {row["genres"][0] for row in dramas} == {"Drama", "Comedy"}
    assert titles(dataflix, "recommend", fan, "--genre", "Drama", "--genre", "Comedy", "--all-genres") == []
    without = titles(dataflix, "recommend", fan, "--exclude", "the matrix reloaded", "--exclude", "Amélie")
    assert not {"The Matrix Reloaded", "Amélie"} & set(without)
    plain = titles(dataflix, "recommend", fan, "-n", "20")
    assert titles(dataflix, "recommend", fan, "-n", "20", "--diversity", "0", "--freshness", "0") == plain
    assert titles(dataflix, "recommend", fan, "-n", "20", "--diversity", "1") != plain
    empty = dataflix("recommend", fan, "--genre", "Comedy", "--year-to", "1900")
    assert (empty.code, empty.out) == (0, "")
    assert "filtered out" in empty.err
    assert dataflix("recommend", fan, "--diversity", "2").code == 2


def test_parts_of_a_reason_add_up(dataflix: Invoke, fan: str) -> None:
    first = answer(dataflix, "recommend", fan, "-n", "1")["data"][0]
    shown = dataflix("recommend", fan, "-n", "1", "--why")
    assert "Because you rated The Matrix 5★ and watched Solaris" in shown.out
    assert "from The Matrix (5★)" in shown.out
    assert "from Solaris (watched)" in shown.out
    score, *parts = (float(number) for number in re.findall(r"-?\d+\.\d{3}", shown.out))
    assert score == pytest.approx(first["score"], abs=1e-3)
    assert sum(parts) == pytest.approx(score, abs=2e-3)


def test_session_needs_no_user_and_lists_unknown_movies(dataflix: Invoke, server: Server) -> None:
    result = dataflix(
        "session", "--rate", "The Matrix (1999)", "4,5", "--watched", "Solaris (2002)", "-n", "3"
    )
    assert result.code == 0
    assert "Because you rated The Matrix 4.5★" in result.out
    unknown = dataflix("session", "--rate", "987654321", "5", "-n", "3")
    assert "does not know these movies" in unknown.err
    assert "987654321" in unknown.err
    assert len(titles(dataflix, "session")) == 10
    # Every movie of the model is rated.
    assert "no movie to recommend" in dataflix("session", "--only-new").err
    assert dataflix("session", "--rate", "Amélie", "6").code == 2


@pytest.mark.usefixtures("no_rules")
def test_rules_are_added_applied_listed_and_removed(dataflix: Invoke, fan: str) -> None:
    plain = titles(dataflix, "recommend", fan)
    options = ("--owner", "editors", "--until", "2199-01-01")
    added = dataflix("rules", "add", "pin", "Amélie", "--place", "2", *options, "--note", "Movie of the week")
    assert (added.code, added.out) == (0, "")
    assert "pin to 2 Amélie until 2199-01-01 00:00" in added.err
    shown = dataflix("recommend", fan)
    assert re.search(r"Pinned by rule \d+\. ", shown.out)
    assert titles(dataflix, "recommend", fan)[:2] == [plain[0], "Amélie"]
    dataflix("rules", "add", "bury", plain[0], *options)
    dataflix("rules", "add", "boost", "Comedy Movie 03", "--strength", "0.25", *options)
    listed = dataflix("rules", "list").out
    for expected in ("pin to 2", "bury", "boost by 0.25", "editors", "Movie of the week"):
        assert expected in listed
    assert plain[0] not in titles(dataflix, "recommend", fan)
    for row in answer(dataflix, "rules", "list")["data"]:
        assert "removed" in dataflix("rules", "remove", str(row["rule_id"])).err
    assert titles(dataflix, "recommend", fan) == plain
    gone = dataflix("rules", "remove", "987654321")
    assert (gone.code, gone.out) == (3, "")
    assert "dataflix rules list" in gone.err


@pytest.mark.usefixtures("no_rules")
def test_defaults_in_the_help_are_those_of_the_api(dataflix: Invoke) -> None:
    options = ("Amélie", "--owner", "editors", "--until", "2199-01-01")
    assert answer(dataflix, "rules", "add", "pin", *options)["place"] == rules.DEFAULT_PLACE
    assert answer(dataflix, "rules", "add", "boost", *options)["strength"] == rules.DEFAULT_STRENGTH


def test_limit_has_short_names(dataflix: Invoke, fan: str) -> None:
    for command in (("recommend", fan), ("movies", "similar", "Amélie"), ("session",)):
        for name in ("--limit", "-n", "--n"):
            assert len(titles(dataflix, *command, name, "4")) == 4


def test_rule_without_owner_or_end_is_refused(dataflix: Invoke) -> None:
    assert "--owner" in dataflix("rules", "add", "pin", "Amélie", "--until", "2199-01-01").err
    assert "--until" in dataflix("rules", "add", "pin", "Amélie", "--owner", "ann").err
    past = dataflix("rules", "add", "pin", "Amélie", "--owner", "ann", "--until", "2020-01-01")
    assert (past.code, past.out) == (2, "")
    assert "ends_at" in past.err


def test_blocked_movies_are_not_recommended_until_unblocked(dataflix: Invoke, fan: str) -> None:
    unwanted = titles(dataflix, "recommend", fan, "--genre", "Comedy")[0]
    assert f"{unwanted}: blocked for good" in dataflix("block", "add", fan, unwanted).err
    assert unwanted not in titles(dataflix, "recommend", fan, "--genre", "Comedy", "-n", "100")
    assert unwanted in dataflix("block", "list", fan).out
    until = dataflix("block", "add", fan, unwanted, "--until", "2199-01-01", "--owner", "parent")
    assert "blocked until 2199-01-01" in until.err
    assert "again" in dataflix("block", "remove", fan, unwanted).err
    assert titles(dataflix, "recommend", fan, "--genre", "Comedy")[0] == unwanted
    assert dataflix("block", "remove", fan, unwanted).code == 3


def test_feedback_names_the_model_and_a_dismissal_blocks_the_movie(dataflix: Invoke, fan: str) -> None:
    shown = answer(dataflix, "recommend", fan)
    list_id, movie = shown["meta"]["recommendation_id"], shown["data"][1]
    options = ("--position", "2", "--user", fan)
    recorded = dataflix("feedback", list_id, "dismissed", str(movie["movie_id"]), *options)
    assert (recorded.code, recorded.out) == (0, "")
    assert "dismissed at position 2 of a list by model 3" in recorded.err
    assert movie["movie_id"] not in [row["movie_id"] for row in answer(dataflix, "recommend", fan)["data"]]
    assert f"List {list_id[:3]}" in dataflix("recommend", fan).err
    foreign = dataflix("feedback", "made-up", "clicked", str(movie["movie_id"]), "--position", "1")
    assert (foreign.code, foreign.out) == (2, "")
    assert "recommendation_id" in foreign.err
