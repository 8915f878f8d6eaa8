"""Signed ids of recommendation lists: feedback finds its model and its list without a stored list.

An id is base64url, without padding, of one format byte, the time in milliseconds (6 bytes), 8 random bytes,
a mark of the list's user (4 bytes), the number of places (1 byte), a mark of the movie at each place (4
bytes each), the model's version in UTF-8, and the first 16 bytes of an HMAC-SHA256 of all that. A mark is
the beginning of an HMAC-SHA256 of the id's own beginning and of the user, or of place and movie: it names
nobody, and nobody without the key can tell whether it fits. Ids do not expire. Their key is derived from
the API key: with another API key, earlier ids are refused.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import HMACAlgorithm

from dataflix_backend.exceptions import InvalidInputError

_FORMAT = b"\x02"
# Ids of this format hold neither user nor movies.
_EARLIER_FORMAT = b"\x01"
_TIME = slice(1, 7)
_RANDOM_BYTES = 8
_UNIQUE_BYTES = 7 + _RANDOM_BYTES
# 32 bits: one who guesses must send some billion requests, and a list of 100 stays below 700 characters.
_MARK_BYTES = 4
_PLACES_AT = _UNIQUE_BYTES + _MARK_BYTES
_MARKS_AT = _PLACES_AT + 1
# 128 bits cannot be guessed, and an id stays short enough for a log line.
_SIGNATURE_BYTES = 16
_SALT = b"dataflix: ids of recommendation lists"
_KIND = "unknown-recommendation"


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
        self._mark_key = hmac.digest(self._signer.derive_key(), b"marks", "sha256")

    def new(self, model_version: str | None, user_id: int | None, movie_ids: Sequence[int]) -> str:
        """Return the id of a list that is made now.

        Args:
            model_version: the model that made it, None for the popularity fallback.
            user_id: the list's user, None for a session.
            movie_ids: its movies, at most 255, from the first place on.
        """
        now_ms = time.time_ns() // 1_000_000
        unique = _FORMAT + now_ms.to_bytes(6, "big") + secrets.token_bytes(_RANDOM_BYTES)
        marks = [self._place_mark(unique, place, movie_id) for place, movie_id in enumerate(movie_ids, 1)]
        payload = unique + self._user_mark(unique, user_id) + bytes([len(marks)]) + b"".join(marks)
        payload += (model_version or "").encode()
        return base64_encode(payload + base64_decode(self._signer.get_signature(payload))).decode()

    def read(
        self, recommendation_id: str, *, user_id: int | None, movie_id: int, position: int
    ) -> ListOrigin:
        """Return what an id says, if the user's list had the movie at this position.

        Raises:
            InvalidInputError: the id is not ours, or not of this user, movie and position.
        """
        payload = self._signed_payload(recommendation_id)
        if payload[:1] == _EARLIER_FORMAT:
            raise _refused("recommendation_id", "is of an earlier version of the API; ask for a new list")
        unique, marks_end = payload[:_UNIQUE_BYTES], _MARKS_AT + _MARK_BYTES * payload[_PLACES_AT]
        marks = payload[_MARKS_AT:marks_end]
        if not hmac.compare_digest(payload[_UNIQUE_BYTES:_PLACES_AT], self._user_mark(unique, user_id)):
            raise _refused("user_id", "must be the user of the list, and left out for the list of a session")
        if not self._is_at(unique, marks, position, movie_id):
            places = range(1, payload[_PLACES_AT] + 1)
            if any(self._is_at(unique, marks, place, movie_id) for place in places):
                raise _refused("position", "must be the movie's rank in the list")
            raise _refused("movie_id", "must be a movie of the list")
        listed_at = datetime.fromtimestamp(int.from_bytes(payload[_TIME], "big") / 1000, UTC)
        return ListOrigin(payload[marks_end:].decode(), listed_at)

    def _signed_payload(self, recommendation_id: str) -> bytes:
        try:
            content = base64_decode(recommendation_id)
        except (BadData, ValueError) as error:
            raise _unknown() from error
        payload, signature = content[:-_SIGNATURE_BYTES], content[-_SIGNATURE_BYTES:]
        # One spelling only: with other unused bits in the last character, feedback would count again.
        is_canonical = base64_encode(content).decode() == recommendation_id
        is_signed = self._signer.verify_signature(payload, base64_encode(signature))
        if not payload or not is_canonical or not is_signed:
            raise _unknown()
        return payload

    def _user_mark(self, unique: bytes, user_id: int | None) -> bytes:
        return self._mark(unique + b"user:" + str(user_id or "").encode())

    def _place_mark(self, unique: bytes, place: int, movie_id: int) -> bytes:
        return self._mark(unique + f"place:{place}:{movie_id}".encode())

    def _mark(self, value: bytes) -> bytes:
        return hmac.digest(self._mark_key, value, "sha256")[:_MARK_BYTES]

    def _is_at(self, unique: bytes, marks: bytes, place: int, movie_id: int) -> bool:
        mark = marks[_MARK_BYTES * (place - 1) : _MARK_BYTES * place]
        return hmac.compare_digest(mark, self._place_mark(unique, place, movie_id))


def _unknown() -> InvalidInputError:
    return _refused("recommendation_id", "is not the id of a list of this API, or its key has changed since")


def _refused(field: str, message: str) -> InvalidInputError:
    return InvalidInputError.of_field(field, message, kind=_KIND)
