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
    menu.type("solaris")
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
    menu.expect("Type a number from 1 to 8 or q.")
    choose(menu, "1")
    menu.expect("User, by id or name")
    menu.type("nobody")
    menu.expect("Error: There is no user named nobody.")
    menu.expect(MENU)
    choose(menu, "8")
    menu.expect("User, by id or name")
    menu.press(b"\x04")
    menu.expect(MENU)
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


def test_input_that_is_not_utf_8_is_refused(menu: Terminal) -> None:
    choose(menu, "1")
    menu.expect("User, by id or name")
    menu.press(b"caf\xe9\n")
    menu.expect("is not UTF-8")
    menu.expect(MENU)
    choose(menu, "q")
    assert menu.end() == 0


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
