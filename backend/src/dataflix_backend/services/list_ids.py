"""Signed ids of recommendation lists: feedback finds its model without a stored list.

An id is base64url, without padding, of one format byte, the time in milliseconds (6 bytes), 8 random bytes,
the model's version in UTF-8, and the first 16 bytes of an HMAC-SHA256 of all that. Ids do not expire. Their
key is derived from the API key: with another API key, earlier ids are refused.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import HMACAlgorithm

from dataflix_backend.exceptions import InvalidInputError

_FORMAT = b"\x01"
_TIME = slice(1, 7)
_RANDOM_BYTES = 8
_VERSION_START = 7 + _RANDOM_BYTES
# 128 bits cannot be guessed, and an id stays short enough for a log line.
_SIGNATURE_BYTES = 16
_SALT = b"dataflix: ids of recommendation lists"


class _ShortHmac(HMACAlgorithm):
    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:_SIGNATURE_BYTES]


@dataclass(frozen=True, slots=True)
class ListOrigin:
    """Where a list comes from.

    Attributes:
        model_version: the model that made it, empty for the popularity fallback.
        listed_at: when it was made.
    """

    model_version: str
    listed_at: datetime


class ListIds:
    """Makes and reads ids of lists."""

    def __init__(self, api_key: str) -> None:
        self._signer = Signer(
            api_key,
            salt=_SALT,
            key_derivation="hmac",
            digest_method=hashlib.sha256,
            algorithm=_ShortHmac(hashlib.sha256),
        )

    def new(self, model_version: str | None) -> str:
        """Return the id of a list that is made now."""
        now_ms = time.time_ns() // 1_000_000
        payload = _FORMAT + now_ms.to_bytes(6, "big") + secrets.token_bytes(_RANDOM_BYTES)
        payload += (model_version or "").encode()
        return base64_encode(payload + base64_decode(self._signer.get_signature(payload))).decode()

    def read(self, recommendation_id: str) -> ListOrigin:
        """Return what an id says.

        Raises:
            InvalidInputError: the id was not made with this API key.
        """
        try:
            content = base64_decode(recommendation_id)
        except (BadData, ValueError) as error:
            raise _unknown() from error
        payload, signature = content[:-_SIGNATURE_BYTES], content[-_SIGNATURE_BYTES:]
        # One spelling only: with other unused bits in the last character, feedback would count again.
        is_canonical = base64_encode(content).decode() == recommendation_id
        is_signed = self._signer.verify_signature(payload, base64_encode(signature))
        if len(payload) < _VERSION_START or not is_canonical or not is_signed:
            raise _unknown()
        listed_at = datetime.fromtimestamp(int.from_bytes(payload[_TIME], "big") / 1000, UTC)
        return ListOrigin(payload[_VERSION_START:].decode(), listed_at)


def _unknown() -> InvalidInputError:
    message = "is not the id of a list of this API, or its key has changed since"
    return InvalidInputError.of_field("recommendation_id", message, kind="unknown-recommendation")
