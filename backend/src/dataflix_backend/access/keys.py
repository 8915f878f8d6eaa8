"""What a key of the API is, and what it opens."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# So that a secret that leaked into a log or a repository is recognised, also by scanners.
PREFIX = "dfx_"
# 256 bits: no slow hash is needed for what nobody can guess.
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is good.

    ``key_id`` is None for the bootstrap key while Postgres cannot be asked. ``user_id`` is the one user whose
    routes it opens, None for a key of no user. ``ends_in_s`` is told of a secret that was rotated away: how
    long it was still good when it was found, by Postgres' clock.
    """

    key_id: int | None
    scopes: frozenset[str]
    user_id: int | None = None
    ends_in_s: float | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it opens everything."""
        return "admin" in self.scopes

    def allows(self, scope: Scope) -> bool:
        """Say whether it opens routes of ``scope``."""
        return self.is_admin or scope in self.scopes

    def acts_for(self, user_id: int | None) -> bool:
        """Say whether it opens the routes of that user."""
        return self.is_admin or (user_id is not None and user_id == self.user_id)

    def acts_for_all(self, user_ids: Iterable[int]) -> bool:
        """Say whether it opens the routes of each of those users."""
        return all(self.acts_for(user_id) for user_id in user_ids)


def new_secret() -> str:
    """Return a secret for a new key, to be shown once."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def secret_hash(secret: str) -> bytes:
    """Return what is stored of a secret; a header's text arrives as Latin-1."""
    return hashlib.sha256(secret.encode("latin-1", "replace")).digest()
