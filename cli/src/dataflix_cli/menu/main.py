"""The first page of the menu."""

from collections.abc import Callable

from rich.markup import escape

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.errors import CliError
from dataflix_cli.menu import movies, users
from dataflix_cli.menu.prompt import EndOfInput, GoBack, Prompt
from dataflix_cli.menu.state import State
from dataflix_cli.session import Session
from dataflix_cli.source import Source
from dataflix_cli.text import safe, with_article

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
        except EndOfInput:
            return
        except GoBack:
            # An Enter too many, after a page that it left, must not leave the program.
            continue
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
    source = state.session.api.source
    username = safe(state.user["username"]) if state.user else f"no {source.person} chosen"
    console.print(f"\n[bold]Dataflix[/bold]  {escape(username)}")
    for number, (title, _) in enumerate(_PAGES, start=1):
        console.print(f" {number}  {_said(title, source)}")
    console.print(" q  Leave")


def _said(title: str, source: Source) -> str:
    return title.format(
        a_person=with_article(source.person), an_item=with_article(source.item), items=source.items
    )


def _recommendations(state: State) -> None:
    answer = state.session.api.get(
        path_of("recommendations", users.current_user(state)), limit=movies.PAGE_SIZE
    )
    views.recommendations(state.session.output, answer)
    movies.pick(state, answer["data"])


def _watched(state: State) -> None:
    movies.show_pages(state, path_of("watched", users.current_user(state)), views.watched)


def _ratings(state: State) -> None:
    movies.show_pages(state, path_of("ratings", users.current_user(state)), views.ratings)


_PAGES: tuple[tuple[str, Page], ...] = (
    ("Choose {a_person}", users.choose),
    ("Create {a_person}", users.create),
    ("Browse {items}", movies.browse),
    ("Mark {an_item} as watched", movies.mark_as_watched),
    ("Rate {an_item}", movies.rate),
    ("Recommendations", _recommendations),
    ("My watched {items}", _watched),
    ("My ratings", _ratings),
    ("Add {an_item}", movies.add),
)
