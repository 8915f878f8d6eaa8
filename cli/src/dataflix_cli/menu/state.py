"""What the pages of the menu share."""

from dataclasses import dataclass
from typing import Any

from dataflix_cli.menu.ask import Ask
from dataflix_cli.session import Session


@dataclass
class State:
    """The session, the questions, and the user on whose behalf the person acts, None until one is chosen."""

    session: Session
    ask: Ask
    user: dict[str, Any] | None = None
