"""Pages about users. Every page raises GoBack when the person leaves it."""

from typing import Any

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.lookup import user_id
from dataflix_cli.menu.state import State
from dataflix_cli.source import Id

_LISTED = 10


def current_user(state: State) -> Id:
    """Return the id of the chosen user; ask for one if there is none yet."""
    user = state.user or choose(state)
    found: Id = user["user_id"]
    return found


def choose(state: State) -> dict[str, Any]:
    """Ask for a user by id or name; a question mark lists the first users."""
    api = state.session.api
    question = f"{api.source.person.capitalize()}, by id or name (? lists some)"
    name = state.prompt.required(question)
    while name == "?":
        views.users(state.session.output, api.get("/users", limit=_LISTED))
        name = state.prompt.required(question)
    chosen: dict[str, Any] = api.get(path_of("users", user_id(api, name)))
    state.user = chosen
    return chosen


def create(state: State) -> None:
    """Ask for name and e-mail address, create the user and choose it."""
    username = state.prompt.required("Username")
    email = state.prompt.required("E-mail")
    person = {
        "username": username,
        "email": email,
        "first_name": state.prompt.text("First name (may be empty)"),
        "last_name": state.prompt.text("Last name (may be empty)"),
    }
    state.user = state.session.api.post("/users", person)
    views.user(state.session.output, state.user)
