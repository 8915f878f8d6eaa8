"""Notices a container that keeps dying while something else is waited for."""

import time

from dataflix_stack.docker.compose import Compose
from dataflix_stack.errors import StackError
from dataflix_stack.services.startup import MAX_STARTS

# Each look is two commands of Docker.
_INTERVAL_S = 10


class ContainerWatch:
    """Watches the containers of the stack.

    Args:
        compose: the running stack.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._before: dict[str, int] = {}
        self._checked_at: float | None = None

    def check(self) -> None:
        """Look at the containers; to be called about once a second.

        Raises:
            StackError: a container keeps dying; the message has the end of its log. Or Docker failed.
        """
        if self._checked_at is not None and time.monotonic() - self._checked_at < _INTERVAL_S:
            return
        self._checked_at = time.monotonic()
        for service, restarts in self._compose.restarts().items():
            if restarts - self._before.setdefault(service, restarts) >= MAX_STARTS:
                log = self._compose.log_tail(service)
                raise StackError(f"{service} keeps dying. The end of its log:\n{log}")
