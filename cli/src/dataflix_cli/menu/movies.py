"""Pages about movies. Every page raises GoBack when the person leaves it, unless it says otherwise."""

from collections.abc import Callable, Mapping
from typing import Any

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.errors import InputError, NotFoundError
from dataflix_cli.lookup import candidates, is_item_of_copy, is_number, may_be_item_id, movie_id
from dataflix_cli.menu.prompt import GoBack
from dataflix_cli.menu.state import State
from dataflix_cli.menu.users import current_user
from dataflix_cli.output import Output
from dataflix_cli.rating_scale import parse_rating
from dataflix_cli.source import Id
from dataflix_cli.text import title_and_year

PAGE_SIZE = 10

_MOVIE_QUESTION = (
    "w watched, r rate, u not watched after all, d delete my rating, s similar {items}, empty to go back"
)

View = Callable[[Output, Any], None]


def browse(state: State) -> None:
    """Ask for filters and show the movies page by page; ask again if a filter is refused."""
    filters = dict.fromkeys(("q", "genre", "year_from", "year_to"), "")
    while True:
        ask = state.prompt.text
        filters["q"] = ask("Start of the title or of a word in it (empty: all)", filters["q"])
        filters["genre"] = _ask_for_genre(state, "Genre (empty: all, ? lists them)", filters["genre"])
        filters["year_from"] = ask("From year (empty: any)", filters["year_from"])
        filters["year_to"] = ask("To year (empty: any)", filters["year_to"])
        given = {name: value for name, value in filters.items() if value}
        try:
            show_pages(state, "/movies", views.movies, **given)
        except InputError as error:
            state.session.output.error(error)


def _ask_for_genre(state: State, question: str, typed: str = "") -> str:
    genre = state.prompt.text(question, typed)
    while genre == "?":
        views.genres(state.session.output, state.session.api.get("/genres"))
        genre = state.prompt.text(question)
    return genre


def add(state: State) -> None:
    """Ask for a movie's fields, add it and open it; ask again if they are refused."""
    typed = dict.fromkeys(("title", "genres", "year", "director"), "")
    while True:
        typed["title"] = state.prompt.required("Title", typed["title"])
        typed["genres"] = _ask_for_genre(
            state, "Genres, with commas between them (may be empty, ? lists them)", typed["genres"]
        )
        typed["year"] = state.prompt.text("Release year (may be empty)", typed["year"])
        typed["director"] = state.prompt.text("Director (may be empty)", typed["director"])
        try:
            added = state.session.api.post("/movies", _new_movie(typed))
        except InputError as error:
            state.session.output.error(error)
            continue
        state.session.output.done(f"{title_and_year(added)} is added")
        open_movie(state, added["movie_id"])
        return


def _new_movie(typed: Mapping[str, str]) -> dict[str, object]:
    body: dict[str, object] = {
        "title": typed["title"],
        "genres": [genre.strip() for genre in typed["genres"].split(",") if genre.strip()],
    }
    if typed["year"]:
        # What is no number is refused by the API, with the range.
        body["release_year"] = int(typed["year"]) if is_number(typed["year"]) else typed["year"]
    if typed["director"]:
        body["director"] = typed["director"]
    return body


def show_pages(state: State, path: str, view: View, **filters: str) -> None:
    """Show a list page by page."""
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
    """Ask for the id of a listed movie and open it, or for one of ``letters``, and return the letter."""
    if not rows and not letters:
        raise GoBack
    by_id = {str(row["movie_id"]): row for row in rows}
    names = {"n": "n for the next page", "p": "p for the previous page"}
    options = ["an id to open", *(names[letter] for letter in letters or ())]

    def parse(text: str) -> str:
        if text in by_id:
            return text
        if text.lower() in (letters or ()):
            return text.lower()
        raise ValueError(f"{text} is not one of the ids above.")

    choice = state.prompt.value(f"{', '.join(options)}, empty to go back", parse)
    if choice in by_id:
        open_movie(state, by_id[choice]["movie_id"])
        return ""
    return choice


def open_movie(state: State, movie_id: Id) -> None:
    """Show a movie and its actions. Returns when the person goes back."""
    api, output = state.session.api, state.session.output
    while True:
        views.movie(output, api.get(path_of("movies", movie_id)))
        try:
            choice = state.prompt.choice(_MOVIE_QUESTION.format(items=api.source.items), 0, tuple(_ACTIONS))
        except GoBack:
            return
        try:
            _ACTIONS[str(choice)](state, movie_id)
        except GoBack:
            # From a question of the action, such as that for the stars, back to the movie.
            continue
        except (InputError, NotFoundError) as error:
            output.error(error)


def mark_as_watched(state: State) -> None:
    """Ask for a movie and mark it as watched."""
    current_user(state)
    _mark_as_watched(state, _ask_for_movie(state))


def rate(state: State) -> None:
    """Ask for a movie and its stars, and rate it."""
    current_user(state)
    _rate(state, _ask_for_movie(state))


def _mark_as_watched(state: State, movie_id: Id) -> None:
    body = {"user_id": current_user(state), "movie_id": movie_id}
    views.marked_as_watched(state.session.output, state.session.api.post("/watched", body))


def _rate(state: State, movie_id: Id) -> None:
    user_id = current_user(state)
    stars = state.prompt.value("Stars, 0.5 to 5 in half steps", parse_rating)
    body = {"user_id": user_id, "movie_id": movie_id, "rating": stars}
    views.rated(state.session.output, state.session.api.post("/ratings", body))


def _take_back_watched(state: State, movie_id: Id) -> None:
    user_id = current_user(state)
    state.session.api.delete(path_of("watched", user_id, movie_id))
    views.view_removed(state.session.output, {"user_id": user_id, "movie_id": movie_id})


def _delete_rating(state: State, movie_id: Id) -> None:
    user_id = current_user(state)
    state.session.api.delete(path_of("ratings", user_id, movie_id))
    views.rating_removed(state.session.output, {"user_id": user_id, "movie_id": movie_id})


def _show_similar(state: State, movie_id: Id) -> None:
    answer = state.session.api.get(path_of("movies", movie_id, "similar"), limit=PAGE_SIZE)
    views.ranking(state.session.output, answer)


# By the letters of _MOVIE_QUESTION.
_ACTIONS: dict[str, Callable[[State, Id], None]] = {
    "w": _mark_as_watched,
    "r": _rate,
    "u": _take_back_watched,
    "d": _delete_rating,
    "s": _show_similar,
}


def _is_id(state: State, name: str) -> bool:
    api = state.session.api
    if api.source.has_number_item_ids:
        return is_number(name)
    return may_be_item_id(api.source, name) and is_item_of_copy(api, name)


def _ask_for_movie(state: State) -> Id:
    output, source = state.session.output, state.session.api.source
    rows: list[dict[str, Any]] = []
    name = ""
    while not rows:
        name = state.prompt.required(f"{source.item.capitalize()}, by title or id", name)
        try:
            rows = _named(state, name)
        except (InputError, NotFoundError) as error:
            output.error(error)
        else:
            if not rows:
                output.note(f"There is no {source.item} with this title.")
    choice: int | str = 1
    if len(rows) > 1:
        for number, row in enumerate(rows, start=1):
            output.console.print(f"{number:3}  {title_and_year(row)}", markup=False)
        choice = state.prompt.choice("Which one", len(rows))
    chosen = rows[int(choice) - 1]
    output.note(title_and_year(chosen))
    found: Id = chosen["movie_id"]
    return found


def _named(state: State, name: str) -> list[dict[str, Any]]:
    api = state.session.api
    if name.startswith("id:") or _is_id(state, name):
        return [api.get(path_of("movies", movie_id(state.session, name)))]
    return candidates(api, name.removeprefix("title:").strip())
