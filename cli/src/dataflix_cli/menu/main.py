"""The menu's first page."""

from collections.abc import Callable

from rich.markup import escape

from dataflix_cli import views
from dataflix_cli.errors import CliError
from dataflix_cli.menu import films, people
from dataflix_cli.menu.ask import Ask, Back
from dataflix_cli.menu.state import State
from dataflix_cli.session import Session
from dataflix_cli.text import safe

Page = Callable[[State], object]


def run(session: Session) -> None:
    """Show the menu until the person leaves. Raises CliError when the API cannot be asked at the start."""
    session.api.get("/readyz")
    state = State(session, Ask(session.output.console))
    while True:
        _show(state)
        try:
            choice = state.ask.choice("Choose", len(_PAGES), ("q",))
        except Back:
            return
        if isinstance(choice, str):
            return
        try:
            _PAGES[choice - 1][1](state)
        except Back:
            continue
        except CliError as error:
            session.output.error(error)


def _show(state: State) -> None:
    console = state.session.output.console
    who = safe(state.user["username"]) if state.user else "nobody chosen yet"
    console.print(f"\n[bold]Dataflix[/bold]  {escape(who)}")
    for number, (title, _) in enumerate(_PAGES, start=1):
        console.print(f" {number}  {title}")
    console.print(" q  Leave")


def _recommendations(state: State) -> None:
    answer = state.session.api.get(f"/recommendations/{people.acting(state)}", n=films.PAGE_SIZE)
    views.recommendations(state.session.output, answer)
    films.pick(state, answer["data"])


def _watched(state: State) -> None:
    films.pages(state, f"/watched/{people.acting(state)}", views.watched)


def _ratings(state: State) -> None:
    films.pages(state, f"/ratings/{people.acting(state)}", views.ratings)


_PAGES: tuple[tuple[str, Page], ...] = (
    ("Choose a user", people.choose),
    ("Create a user", people.create),
    ("Browse films", films.browse),
    ("Mark a film as watched", films.mark),
    ("Rate a film", films.rate),
    ("Recommendations", _recommendations),
    ("My watched films", _watched),
    ("My ratings", _ratings),
)
