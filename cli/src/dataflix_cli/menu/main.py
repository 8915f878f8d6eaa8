"""The first page of the menu."""

from collections.abc import Callable

from rich.markup import escape

from dataflix_cli import views
from dataflix_cli.errors import CliError
from dataflix_cli.menu import movies, users
from dataflix_cli.menu.prompt import GoBack, Prompt
from dataflix_cli.menu.state import State
from dataflix_cli.session import Session
from dataflix_cli.text import safe

Page = Callable[[State], object]


def run(session: Session) -> None:
    """Show the menu until the person leaves it.

    Raises:
        CliError: the API does not answer at the start.
    """
    session.api.get("/readyz")
    state = State(session, Prompt(session.output.console))
    while True:
        _show(state)
        try:
            choice = state.prompt.choice("Choose", len(_PAGES), ("q",))
        except GoBack:
            return
        if isinstance(choice, str):
            return
        try:
            _PAGES[choice - 1][1](state)
        except GoBack:
            continue
        except CliError as error:
            session.output.error(error)


def _show(state: State) -> None:
    console = state.session.output.console
    username = safe(state.user["username"]) if state.user else "no user chosen"
    console.print(f"\n[bold]Dataflix[/bold]  {escape(username)}")
    for number, (title, _) in enumerate(_PAGES, start=1):
        console.print(f" {number}  {title}")
    console.print(" q  Leave")


def _recommendations(state: State) -> None:
    answer = state.session.api.get(f"/recommendations/{users.current_user(state)}", limit=movies.PAGE_SIZE)
    views.recommendations(state.session.output, answer)
    movies.pick(state, answer["data"])


def _watched(state: State) -> None:
    movies.show_pages(state, f"/watched/{users.current_user(state)}", views.watched)


def _ratings(state: State) -> None:
    movies.show_pages(state, f"/ratings/{users.current_user(state)}", views.ratings)


_PAGES: tuple[tuple[str, Page], ...] = (
    ("Choose a user", users.choose),
    ("Create a user", users.create),
    ("Browse movies", movies.browse),
    ("Mark a movie as watched", movies.mark_as_watched),
    ("Rate a movie", movies.rate),
    ("Recommendations", _recommendations),
    ("My watched movies", _watched),
    ("My ratings", _ratings),
)
