"""Pages about users. Every page raises GoBack when the person leaves it."""

from typing import Any

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.errors import InputError, NotFoundError
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
    """Ask for a user by id or name until there is one; a question mark lists the first users."""
    api, output = state.session.api, state.session.output
    question = f"{api.source.person.capitalize()}, by id or name (? lists some)"
    name = ""
    while True:
        name = state.prompt.required(question, name)
        if name == "?":
            views.users(output, api.get("/users", limit=_LISTED))
            name = ""
            continue
        try:
            chosen: dict[str, Any] = api.get(path_of("users", user_id(api, name)))
        except (InputError, NotFoundError) as error:
            output.error(error)
        else:
            state.user = chosen
            return chosen


def create(state: State) -> None:
    """Ask for name and e-mail address, create the user and choose it; ask again if they are refused."""
    person = dict.fromkeys(("username", "email", "first_name", "last_name"), "")
    while True:
        person["username"] = state.prompt.required("Username", person["username"])
        person["email"] = state.prompt.required("E-mail", person["email"])
        person["first_name"] = state.prompt.text("First name (may be empty)", person["first_name"])
        person["last_name"] = state.prompt.text("Last name (may be empty)", person["last_name"])
        try:
            state.user = state.session.api.post("/users", person)
        except InputError as error:
            state.session.output.error(error)
        else:
            views.user(state.session.output, state.user)
            return
