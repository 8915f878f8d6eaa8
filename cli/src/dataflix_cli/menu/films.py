"""Pages about films."""

from collections.abc import Callable
from typing import Any

from dataflix_cli import views
from dataflix_cli.lookup import candidates
from dataflix_cli.menu.ask import Back
from dataflix_cli.menu.people import acting
from dataflix_cli.menu.state import State
from dataflix_cli.output import Output
from dataflix_cli.stars import parse_stars
from dataflix_cli.text import film

PAGE_SIZE = 10

_FILM_QUESTION = "w watched, r rate, s similar films, empty to go back"

View = Callable[[Output, Any], None]


def browse(state: State) -> None:
    """Ask for filters and show the films page by page. Raises Back."""
    title = state.ask.text("Title begins with, or has words beginning with (empty: all)")
    genre = state.ask.text("Genre (empty: all, ? lists them)")
    while genre == "?":
        views.genres(state.session.output, state.session.api.get("/genres"))
        genre = state.ask.text("Genre (empty: all)")
    year_from = state.ask.text("From year (empty: any)")
    year_to = state.ask.text("To year (empty: any)")
    filters = {"q": title, "genre": genre, "year_from": year_from, "year_to": year_to}
    pages(state, "/movies", views.movies, **{name: value for name, value in filters.items() if value})


def pages(state: State, path: str, view: View, **filters: str) -> None:
    """Show a list page by page until the person goes back. Raises Back."""
    offset = 0
    while True:
        answer = state.session.api.get(path, limit=PAGE_SIZE, offset=offset, **filters)
        view(state.session.output, answer)
        meta = answer["meta"]
        letters = ["n"] if meta["offset"] + meta["count"] < meta["total"] else []
        letters += ["p"] if offset else []
        choice = pick(state, answer["data"], letters)
        offset += {"n": PAGE_SIZE, "p": -PAGE_SIZE}.get(choice, 0)


def pick(state: State, rows: list[dict[str, Any]], letters: list[str] | None = None) -> str:
    """Ask for a film of the list by its id and open it, or for a letter, which is returned. Raises Back."""
    if not rows and not letters:
        raise Back
    by_id = {str(row["movie_id"]): row for row in rows}
    names = {"n": "n for the next page", "p": "p for the one before"}
    options = ["an id to open", *(names[letter] for letter in letters or ())]

    def parse(text: str) -> str:
        if text in by_id or text.lower() in (letters or ()):
            return text.lower()
        raise ValueError(f"{text} is not one of the ids above.")

    choice = state.ask.value(f"{', '.join(options)}, empty to go back", parse)
    if choice in by_id:
        open_film(state, by_id[choice]["movie_id"])
        return ""
    return choice


def open_film(state: State, movie_id: int) -> None:
    """Show a film and what can be done with it, until the person goes back."""
    api, output = state.session.api, state.session.output
    while True:
        views.movie(output, api.get(f"/movies/{movie_id}"))
        try:
            choice = state.ask.choice(_FILM_QUESTION, 0, ("w", "r", "s"))
            if choice == "w":
                _mark(state, movie_id)
            elif choice == "r":
                _rate(state, movie_id)
            else:
                views.ranking(output, api.get(f"/movies/{movie_id}/similar", n=PAGE_SIZE))
        except Back:
            return


def mark(state: State) -> None:
    """Ask for a film and mark it as watched. Raises Back."""
    acting(state)
    _mark(state, _ask_film(state))


def rate(state: State) -> None:
    """Ask for a film and its stars. Raises Back."""
    acting(state)
    _rate(state, _ask_film(state))


def _mark(state: State, movie_id: int) -> None:
    body = {"user_id": acting(state), "movie_id": movie_id}
    views.marked(state.session.output, state.session.api.post("/watched", body))


def _rate(state: State, movie_id: int) -> None:
    user_id = acting(state)
    stars = state.ask.value("Stars, 0.5 to 5 in half steps", parse_stars)
    body = {"user_id": user_id, "movie_id": movie_id, "rating": stars}
    views.rated(state.session.output, state.session.api.post("/ratings", body))


def _ask_film(state: State) -> int:
    api, output = state.session.api, state.session.output
    rows: list[dict[str, Any]] = []
    while not rows:
        name = state.ask.required("Film, by title or id")
        is_id = name.isascii() and name.isdecimal()
        rows = [api.get(f"/movies/{name}")] if is_id else candidates(api, name)
        if not rows:
            output.note("No film has such a title.")
    choice: int | str = 1
    if len(rows) > 1:
        for number, row in enumerate(rows, start=1):
            output.console.print(f"{number:3}  {film(row)}", markup=False)
        choice = state.ask.choice("Which one", len(rows))
    chosen = rows[int(choice) - 1]
    output.note(film(chosen))
    return int(chosen["movie_id"])
