"""Why a request cannot be done, independent of HTTP. ``web.errors`` maps each type to a status, once."""

from collections.abc import Mapping, Sequence
from typing import Any


class BackendError(Exception):
    """Base of all errors whose message reaches the client.

    Attributes:
        kind: a short name of the error. It ends the ``type`` URN of the answer, so it must not change.
        detail: what was wrong, with which input, and what to do.
        errors: the wrong inputs, as ``{"field": ..., "message": ...}``.
        members: further members of the answer's body.
        has_our_words: whether the texts name movies and users, and have nothing that the caller sent: a
            caller of another application reads its own words there.
    """

    kind = "internal"
    has_our_words = False

    def __init__(
        self,
        detail: str,
        *,
        kind: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind or type(self).kind
        self.errors = [dict(error) for error in errors]
        self.members = dict(members or {})


class InvalidInputError(BackendError):
    """A value is understood and cannot be accepted."""

    kind = "invalid-body"

    @classmethod
    def of_field(cls, field: str, message: str, *, kind: str = "") -> "InvalidInputError":
        """Return the error for one field; ``message`` continues a sentence that begins with its name."""
        error = cls(f"{field} {message}.", kind=kind, errors=[{"field": field, "message": message}])
        error.has_our_words = True
        return error


class InvalidParameterError(BackendError):
    """A query parameter is wrong."""

    kind = "invalid-parameter"


class UnknownGenreError(InvalidParameterError):
    """No movie has this genre.

    Args:
        genre: what was sent.
        nearest: genres that are spelt alike, the nearest first.
    """

    kind = "unknown-genre"

    def __init__(self, genre: str, nearest: Sequence[str]) -> None:
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"There is no genre {genre!r}.{meant} GET /genres lists all.",
            errors=[{"field": "genre", "message": "must be a genre of GET /genres"}],
            members={"nearest": list(nearest)},
        )


class UnknownAttributeError(InvalidParameterError):
    """No item has this attribute, or this value of it.

    Args:
        detail: what was wrong.
        nearest: names, or filters NAME:VALUE, that are spelt alike, the nearest first.
    """

    kind = "unknown-attribute"

    def __init__(self, detail: str, nearest: Sequence[str]) -> None:
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"{detail}{meant}",
            errors=[{"field": "attribute", "message": "must be an attribute and a value that items have"}],
            members={"nearest": list(nearest)},
        )


class NotJsonError(BackendError):
    """The body is not JSON."""

    kind = "not-json"


class UnsupportedMediaTypeError(BackendError):
    """The body has a media type that the API does not read."""

    kind = "unsupported-media-type"


class UnauthenticatedError(BackendError):
    """The API key is missing or wrong."""

    kind = "missing-api-key"


class ForbiddenError(BackendError):
    """The API key is valid and does not allow this."""

    kind = "insufficient-scope"
    has_our_words = True


class NotFoundError(BackendError):
    """The thing does not exist."""

    kind = "not-found"


class UnknownIdError(NotFoundError):
    """No row has this id.

    Attributes:
        thing: what was looked for: ``user``, ``movie`` and so on.
        identifier: our number, or the text that was sent instead of one.
        advice: a sentence that follows the message.
    """

    def __init__(self, thing: str, identifier: object, advice: str = "") -> None:
        super().__init__(unknown_id(thing, identifier, advice), kind=f"unknown-{thing}")
        self.thing = thing
        self.identifier = identifier
        self.advice = advice


def unknown_id(word: str, identifier: object, advice: str = "") -> str:
    """Return the sentence that says that no such thing exists."""
    return f"There is no {word} with the id {identifier}." + (f" {advice}" if advice else "")


class NoSuchEventError(NotFoundError):
    """A user and a movie exist, and what was asked for does not lie between them.

    Attributes:
        sentence: what is missing, with ``{person} {user}`` for the user and ``{item} {movie}`` for the movie.
        user_id: our number of the user.
        movie_id: our number of the movie.
    """

    def __init__(self, sentence: str, user_id: int, movie_id: int, *, kind: str) -> None:
        super().__init__(no_such_event(sentence, "user", user_id, "movie", movie_id), kind=kind)
        self.sentence = sentence
        self.user_id = user_id
        self.movie_id = movie_id


def no_such_event(sentence: str, person: str, user: object, item: str, movie: object) -> str:
    """Return the sentence with the words and ids that a caller knows."""
    text = sentence.format(person=person, user=user, item=item, movie=movie)
    return text[:1].upper() + text[1:]


class ConflictError(BackendError):
    """The change contradicts what is stored."""

    kind = "taken"


class RateLimitedError(BackendError):
    """Too many requests.

    Attributes:
        retry_after_s: whole seconds after which the client may send the request again.
    """

    kind = "too-many-requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class UnavailableError(BackendError):
    """A service that the request needs does not answer. Nothing was written, unless ``detail`` says so."""

    kind = "unavailable"
