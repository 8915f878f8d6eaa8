"""Pages about users."""

from typing import Any

from dataflix_cli import views
from dataflix_cli.lookup import user_id
from dataflix_cli.menu.state import State


def acting(state: State) -> int:
    """Return the id of the user on whose behalf the person acts; asks while there is none. Raises Back."""
    user = state.user or choose(state)
    found: int = user["user_id"]
    return found


def choose(state: State) -> dict[str, Any]:
    """Ask for a user by id or name; a question mark lists the first ones. Raises Back."""
    api = state.session.api
    name = state.ask.required("User, by id or name (? lists some)")
    while name == "?":
        views.users(state.session.output, api.get("/users", limit=10))
        name = state.ask.required("User, by id or name (? lists some)")
    chosen: dict[str, Any] = api.get(f"/users/{user_id(api, name)}")
    state.user = chosen
    return chosen


def create(state: State) -> None:
    """Ask for name and address, create the user, and act as them from now on. Raises Back."""
    username = state.ask.required("Username")
    email = state.ask.required("E-mail")
    person = {
        "username": username,
        "email": email,
        "first_name": state.ask.text("First name (may be empty)"),
        "last_name": state.ask.text("Last name (may be empty)"),
    }
    state.user = state.session.api.post("/users", person)
    views.user(state.session.output, state.user)
