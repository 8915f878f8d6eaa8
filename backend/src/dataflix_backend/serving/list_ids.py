"""The id of a list: signed, so that feedback is laid at the right model's door without a stored list.

An id is base64url of a form byte, the time in milliseconds (6 bytes), 8 random bytes, the model's version in
UTF-8, and the first 16 bytes of the HMAC-SHA256 of all that. The key is made from the API key: whoever has
that could tell us false feedback anyway, and changing it makes the ids of earlier lists void.
"""

import base64
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dataflix_backend.errors import Problem

_FORM = b"\x01"
_TIME = slice(1, 7)
_RANDOM_BYTES = 8
_VERSION_BEGINS = 7 + _RANDOM_BYTES
# 128 bits: nobody guesses them, and an id stays short enough for a log line.
_TAG_BYTES = 16
_KEY_USE = b"dataflix: ids of recommendation lists"


@dataclass(frozen=True, slots=True)
class ListOrigin:
    """What an id says; ``model_version`` is empty when popularity stood in for a model."""

    model_version: str
    listed_at: datetime


class ListIds:
    """Makes and reads ids."""

    def __init__(self, api_key: str) -> None:
        self._key = hmac.digest(api_key.encode(), _KEY_USE, "sha256")

    def new(self, model_version: str | None) -> str:
        """Return an id for a list that is made now."""
        moment = time.time_ns() // 1_000_000
        said = _FORM + moment.to_bytes(6, "big") + secrets.token_bytes(_RANDOM_BYTES)
        said += (model_version or "").encode()
        return base64.urlsafe_b64encode(said + self._tag(said)).rstrip(b"=").decode()

    def read(self, recommendation_id: str) -> ListOrigin:
        """Return what an id says; raises Problem (422) for one that we did not make."""
        try:
            padded = recommendation_id + "=" * (-len(recommendation_id) % 4)
            raw = base64.b64decode(padded, b"-_", validate=True)
        except ValueError as error:
            raise _foreign() from error
        said, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if len(said) < _VERSION_BEGINS or not hmac.compare_digest(tag, self._tag(said)):
            raise _foreign()
        moment = int.from_bytes(said[_TIME], "big")
        return ListOrigin(said[_VERSION_BEGINS:].decode(), datetime.fromtimestamp(moment / 1000, UTC))

    def _tag(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_TAG_BYTES]


def _foreign() -> Problem:
    message = "is not the id of a list of this API, or its key has changed since"
    return Problem(
        422,
        "unknown-recommendation",
        f"recommendation_id {message}.",
        errors=[{"field": "recommendation_id", "message": message}],
    )
