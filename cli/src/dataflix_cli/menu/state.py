"""State that the pages of the menu share."""

from dataclasses import dataclass
from typing import Any

from dataflix_cli.menu.prompt import Prompt
from dataflix_cli.session import Session


@dataclass
class State:
    """State of the menu.

    Attributes:
        session: the API and the output.
        prompt: asks the person.
        user: the chosen user as the API's JSON; None until the person chooses one.
    """

    session: Session
    prompt: Prompt
    user: dict[str, Any] | None = None
