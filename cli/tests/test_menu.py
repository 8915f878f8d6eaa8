"""The menu on a real terminal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from dataflix_testkit import free_port

from .conftest import Invoke, Server
from .support.terminal import Terminal

MENU = "q  Leave"


class Start(Protocol):
    """Starts the command on a terminal that closes with the test."""

    def __call__(self, *arguments: str, **environ: str) -> Terminal: ...


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    started = []

    def start_terminal(*arguments: str, **environ: str) -> Terminal:
        terminal = Terminal(arguments, {**server.environ, **environ}, tmp_path)
        started.append(terminal)
        return terminal

    yield start_terminal
    for terminal in started:
        terminal.close()


@pytest.fixture
def menu(start: Start) -> Terminal:
    terminal = start()
    terminal.expect(MENU)
    return terminal


def choose(terminal: Terminal, item: str) -> None:
    terminal.expect("Choose: ")
    terminal.type(item)


def ratings_of(dataflix: Invoke, user: str) -> Any:
    return json.loads(dataflix("ratings", "list", user, "--json").out)["data"]


def test_new_user_rates_watches_and_gets_recommendations(menu: Terminal, dataflix: Invoke) -> None:
    choose(menu, "2")
    for question, text in (
        ("Username", "morpheus"),
        ("E-mail", "m@example.org"),
        ("First name", "Laurence"),
        ("Last name", ""),
    ):
        menu.expect(question)
        menu.type(text)
    menu.expect("Dataflix  morpheus")
    choose(menu, "5")
    menu.expect("Movie, by title or id")
    menu.type("no such movie")
    menu.expect("There is no movie with this title.")
    menu.expect("Movie, by title or id")
    menu.type_anew("no such movie", "solaris")
    menu.expect("2  Solaris (2002)")
    menu.expect("Which one")
    menu.type("7")
    menu.expect("Type a number from 1 to 2.")
    menu.type("2")
    menu.expect("Stars")
    menu.type("6")
    menu.expect("0.5 to 5")
    menu.type("4.5")
    menu.expect("Solaris: 4.5 of 5")
    choose(menu, "4")
    menu.expect("Movie, by title or id")
    menu.type("amélie")
    menu.expect("Amélie: watched")
    choose(menu, "6")
    menu.expect("Because you rated Solaris 4.5★")
    menu.expect("By model 3")
    menu.expect("empty to go back")
    menu.type("")
    choose(menu, "7")
    menu.expect("Amélie (2001)")
    menu.type("")
    choose(menu, "8")
    menu.expect("Solaris (2002)")
    menu.type("")
    choose(menu, "q")
    assert menu.end() == 0
    assert [row["rating"] for row in ratings_of(dataflix, "morpheus")] == [4.5]


def test_movies_are_browsed_opened_and_rated_by_a_chosen_user(
    menu: Terminal, server: Server, dataflix: Invoke
) -> None:
    dataflix("users", "create", "oracle", "oracle@example.org")
    choose(menu, "3")
    menu.expect("Start of the title")
    menu.type("")
    menu.expect("Genre")
    menu.type("?")
    menu.expect("Sci-Fi")
    menu.type("comedy")
    menu.expect("From year")
    menu.type("")
    menu.expect("To year")
    menu.type("1999")
    menu.expect("Comedy Movie 09")
    menu.expect("1 to 10 of 15")
    menu.expect("n for the next page")
    menu.type("n")
    menu.expect("Comedy Movie 14")
    movie = server.catalogue.movies["Comedy Movie 14", 1974]
    menu.type("999999")
    menu.expect("not one of the ids above")
    menu.type(str(movie))
    menu.expect("Rated")
    menu.expect("empty to go back")
    menu.type("s")
    menu.expect("By model 3")
    menu.expect("empty to go back")
    menu.type("r")
    menu.expect("User, by id or name")
    menu.type("oracle")
    menu.expect("Stars")
    menu.type("3,5")
    menu.expect("Comedy Movie 14: 3.5 of 5")
    menu.expect("empty to go back")
    menu.type("")
    menu.expect("p for the previous page")
    menu.type("")
    choose(menu, "q")
    assert menu.end() == 0
    assert [row["movie_id"] for row in ratings_of(dataflix, "oracle")] == [movie]


def test_mistakes_return_to_the_menu(menu: Terminal) -> None:
    choose(menu, "77")
    menu.expect("Type a number from 1 to 9 or q.")
    choose(menu, "1")
    menu.expect("User, by id or name")
    menu.type("nobody")
    menu.expect("Error: There is no user named nobody.")
    menu.type_anew("nobody", "")
    menu.expect(MENU)
    choose(menu, "8")
    menu.expect("User, by id or name")
    menu.press(b"\x04")
    menu.expect(MENU)
    choose(menu, "q")
    assert menu.end() == 0


def test_a_line_can_be_edited_and_an_earlier_one_recalled(menu: Terminal) -> None:
    choose(menu, "1")
    menu.expect("User, by id or name")
    # Home, a letter, End, Backspace: "nobodyx" becomes "1nobody".
    menu.press(b"nobodyx\x1b[H1\x1b[F\x7f\n")
    menu.expect("There is no user named 1nobody.")
    menu.type_anew("1nobody", "")
    choose(menu, "1")
    menu.expect("User, by id or name")
    # Up, past the "1" of the menu.
    menu.press(b"\x1b[A\x1b[A\n")
    menu.expect("There is no user named 1nobody.")
    menu.type_anew("1nobody", "")
    choose(menu, "q")
    assert menu.end() == 0


def test_enter_on_the_first_page_does_not_leave(menu: Terminal) -> None:
    choose(menu, "")
    menu.expect(MENU)
    choose(menu, "q")
    assert menu.end() == 0


def test_what_was_typed_is_kept_after_a_refusal(menu: Terminal, dataflix: Invoke) -> None:
    dataflix("users", "create", "taken", "taken@example.org")
    choose(menu, "2")
    for question, text in (
        ("Username", "taken"),
        ("E-mail", "another@example.org"),
        ("First name", "Ada"),
        ("Last name", ""),
    ):
        menu.expect(question)
        menu.type(text)
    menu.expect("This username is taken by another user.")
    menu.expect("Username: taken")
    menu.type("-no-more")
    for question in ("E-mail: another@example.org", "First name (may be empty): Ada", "Last name"):
        menu.expect(question)
        menu.type("")
    menu.expect("Dataflix  taken-no-more")
    choose(menu, "q")
    assert menu.end() == 0
    user = json.loads(dataflix("users", "show", "taken-no-more", "--json").out)
    assert (user["email"], user["first_name"]) == ("another@example.org", "Ada")


def test_a_movie_is_added_rated_and_all_of_it_taken_back(menu: Terminal, dataflix: Invoke) -> None:
    dataflix("users", "create", "tank", "tank@example.org")
    choose(menu, "9")
    for question, text in (
        ("Title", "Run Lola Run"),
        ("Genres", "Action, Thriller"),
        ("Release year", "soon"),
        ("Director", "Tom Tykwer"),
    ):
        menu.expect(question)
        menu.type(text)
    menu.expect("release_year must be a whole number from 1870 to 2100")
    for line in ("Title: Run Lola Run", "? lists them): Action, Thriller"):
        menu.expect(line)
        menu.type("")
    menu.expect("Release year")
    menu.type_anew("soon", "1998")
    menu.expect("): Tom Tykwer")
    menu.type("")
    menu.expect("Run Lola Run (1998) is added")
    menu.expect("empty to go back")
    menu.type("w")
    menu.expect("User, by id or name")
    menu.type("tank")
    menu.expect("Run Lola Run: watched")
    menu.expect("empty to go back")
    menu.type("d")
    menu.expect("has not rated movie")
    menu.expect("empty to go back")
    menu.type("r")
    menu.expect("Stars")
    # Back to the movie, not further.
    menu.type("")
    menu.expect("empty to go back")
    menu.type("r")
    menu.expect("Stars")
    menu.type("4")
    menu.expect("4.0 of 5")
    menu.expect("empty to go back")
    menu.type("d")
    menu.expect("Rating of movie")
    menu.expect("empty to go back")
    menu.type("u")
    menu.expect("is not watched by user")
    menu.expect("empty to go back")
    menu.type("")
    choose(menu, "q")
    assert menu.end() == 0
    assert ratings_of(dataflix, "tank") == []
    assert json.loads(dataflix("watched", "list", "tank", "--json").out)["data"] == []


def test_a_genre_that_does_not_exist_is_asked_for_again_with_the_nearest(menu: Terminal) -> None:
    choose(menu, "3")
    for question, text in (
        ("Start of the title", "drama"),
        ("Genre", "Dramma"),
        ("From", ""),
        ("To", "1962"),
    ):
        menu.expect(question)
        menu.type(text)
    menu.expect("There is no genre 'Dramma'. Did you mean Drama?")
    menu.expect("dataflix genres lists all genres.")
    menu.expect("(empty: all): drama")
    menu.type("")
    menu.expect("Genre")
    menu.type_anew("Dramma", "Drama")
    for question in ("From", "To"):
        menu.expect(question)
        menu.type("")
    menu.expect("Drama Movie 02")
    menu.type("")
    choose(menu, "q")
    assert menu.end() == 0


def test_end_of_input_leaves_and_an_interrupt_has_its_exit_code(start: Start) -> None:
    for key, code in ((b"\x04", 0), (b"\x03", 130)):
        terminal = start()
        terminal.expect("Choose: ")
        assert terminal.press_until_end(key) == code


def test_more_interrupts_change_nothing(start: Start) -> None:
    for _ in range(5):
        terminal = start()
        terminal.expect("Choose: ")
        assert terminal.interrupt_until_end() == 130
        assert "Traceback" not in terminal.shown


def test_input_that_is_not_utf_8_ends_nothing(menu: Terminal) -> None:
    choose(menu, "1")
    menu.expect("(? lists some): ")
    # The line's editor leaves such a byte out, or hands it on, and then it is refused.
    menu.press(b"caf\xe9e\n")
    menu.expect("Error: ")
    menu.type_anew("caf", "")
    choose(menu, "q")
    assert menu.end() == 0
    assert "Traceback" not in menu.shown


def test_an_answer_that_is_not_utf_8_is_no_yes(start: Start, dataflix: Invoke) -> None:
    dataflix("users", "create", "morpheus", "morpheus@example.org")
    erase = start("users", "erase", "morpheus")
    erase.expect("for good?")
    erase.press(b"y\xe9\n")
    erase.expect("Error: invalid input")
    erase.type("n")
    assert erase.end() != 0
    assert dataflix("users", "show", "morpheus").code == 0
    choice = start("rate", "morpheus", "solaris", "2")
    choice.expect("Which one")
    choice.press(b"1\xe9\n")
    choice.expect("is not a valid")
    choice.type("1")
    choice.expect("Solaris: 2.0 of 5")
    assert choice.end() == 0


def test_menu_does_not_open_without_an_api(start: Start) -> None:
    terminal = start(DATAFLIX_API_URL=f"http://127.0.0.1:{free_port()}")
    terminal.expect("The API does not answer")
    assert terminal.end() == 4


def test_terminal_asks_which_movie_an_ambiguous_title_means(start: Start, dataflix: Invoke) -> None:
    dataflix("users", "create", "cypher", "cypher@example.org")
    terminal = start("rate", "cypher", "solaris", "2")
    terminal.expect("1  Solaris (1972)")
    terminal.expect("Which one")
    terminal.type("1")
    terminal.expect("Solaris: 2.0 of 5")
    assert terminal.end() == 0


def test_colours_are_for_terminals_without_no_color(start: Start) -> None:
    coloured = start("model")
    assert coloured.end() == 0
    assert b"\x1b[1m" in coloured.raw
    plain = start("genres", NO_COLOR="1")
    assert plain.end() == 0
    assert b"\x1b[3" not in plain.raw
