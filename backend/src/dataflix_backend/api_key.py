"""An API key: its secret, its scopes, and the user that it acts for."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# People and scanners recognise a secret that leaked into a log or a repository.
PREFIX = "dfx_"
# 256 random bits cannot be guessed, so a fast hash is enough.
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A valid key.

    Attributes:
        key_id: None for the bootstrap key while Postgres is away.
        scopes: what the key allows.
        user_id: the one user whose routes the key opens, None for a key without a user.
        ends_in_s: for a secret that was rotated away, how long it was still valid when it was read, by the
            clock of Postgres.
    """

    key_id: int | None
    scopes: frozenset[str]
    user_id: int | None = None
    ends_in_s: float | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the key opens every route."""
        return "admin" in self.scopes

    def allows(self, scope: Scope) -> bool:
        """Return whether the key opens routes of ``scope``."""
        return self.is_admin or scope in self.scopes

    def acts_for(self, user_id: int | None) -> bool:
        """Return whether the key opens the routes of that user."""
        return self.is_admin or (user_id is not None and user_id == self.user_id)


def new_secret() -> str:
    """Return the secret of a new key, to be shown once."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def secret_hash(secret: str) -> bytes:
    """Return the SHA-256 that is stored of a secret. The text of a header arrives as Latin-1."""
    return hashlib.sha256(secret.encode("latin-1", "replace")).digest()
