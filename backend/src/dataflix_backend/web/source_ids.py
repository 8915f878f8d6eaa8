"""The application's ids in a request and its answer, where our tables are a copy.

This is the one place that changes ids. What comes in (path, query, body) gets our numbers before it is
validated, what goes out (answers, errors) gets the application's ids, and everything between knows numbers
alone. An id that the application does not have gets a number that no row has: so it is refused, ignored or
not found exactly as an unknown number is. Where our tables are our own, nothing is changed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from flask import g, request

from dataflix_backend.exceptions import (
    BackendError,
    InvalidInputError,
    InvalidParameterError,
    NoSuchEventError,
    UnavailableError,
    UnknownIdError,
    no_such_event,
    unknown_id,
)
from dataflix_backend.schemas.fields import MAX_ID, json_list, whole_number
from dataflix_backend.schemas.users import ID_PREFIX
from dataflix_backend.services.source.source_ids import SourceIds
from dataflix_backend.source import Source, Thing
from dataflix_backend.web.current_services import services
from dataflix_backend.web.encoded_slashes import segment_text

# The names under which ids of users and movies stand in paths, queries, bodies and answers: one, or a list.
ONE: Mapping[str, Thing] = {"user_id": "user", "movie_id": "movie"}
SEVERAL: Mapping[str, Thing] = {"exclude": "movie", "watched": "movie", "ignored": "movie"}

# Enough of an id to recognise it.
_SHOWN_ID_LENGTH = 60
# No body of ours is nested deeper.
_MAX_DEPTH = 4

_Visit = Callable[[Thing, Any, str], Any]


class RequestIds:
    """The pairs of ids and numbers of one request."""

    def __init__(self, source: Source, known: SourceIds) -> None:
        self.source = source
        self._known = known
        self._numbers: dict[tuple[Thing, str], int] = {}
        self._keys: dict[tuple[Thing, int], str] = {}
        self._unused = MAX_ID

    def resolve(self, wanted: Iterable[tuple[Thing, str]]) -> None:
        """Find numbers, in one statement; what does not exist gets a number that no row has."""
        missing = [pair for pair in dict.fromkeys(wanted) if pair not in self._numbers]
        if not missing:
            return
        found = self._known.numbers(missing)
        for thing, key in missing:
            number = found.get((thing, key))
            if number is None:
                number, self._unused = self._unused, self._unused - 1
            self._numbers[thing, key] = number
            self._keys[thing, number] = key

    def number(self, thing: Thing, key: str) -> int:
        """Return the number of an id."""
        self.resolve([(thing, key)])
        return self._numbers[thing, key]

    def outward(self, payload: Any) -> Any:
        """Return an answer with the application's ids.

        Raises:
            UnavailableError: Postgres is away, and this worker does not know an id.
        """
        numbers: set[tuple[Thing, int]] = set()

        def collect(thing: Thing, value: Any, _: str) -> Any:
            if isinstance(value, int):
                numbers.add((thing, value))
            return value

        _visited(payload, collect)
        if missing := numbers - self._keys.keys():
            try:
                self._keys |= self._known.keys(missing)
            except UnavailableError as error:
                words = self.source.words
                raise UnavailableError(
                    f"The database is away, and ids of {words.items} are not known."
                ) from error
        return _visited(payload, lambda thing, value, _: self._shown(thing, value))

    def inward(self, values: Any, refuse: type[BackendError]) -> Any:
        """Return a body or query with our numbers.

        Raises:
            BackendError: of the type ``refuse``: a value can't be an id.
        """
        errors: list[dict[str, str]] = []
        keys: set[tuple[Thing, str]] = set()

        def collect(thing: Thing, value: Any, place: str) -> Any:
            if value is None:
                return None
            form = self.source.ids_of(thing)
            key = form.from_json(value)
            if key is None:
                word = self.source.words.several(thing)
                errors.append(
                    {"field": place, "message": f"must be an id of {word}; these are {form.advice}"}
                )
            else:
                keys.add((thing, key))
            return (thing, key)

        collected = _visited(values, collect, max_depth=_MAX_DEPTH)
        if errors:
            raise refuse(" ".join(f"{e['field']} {e['message']}." for e in errors[:1]), errors=errors[:20])
        self.resolve(keys)
        return _visited(
            collected,
            lambda _, pair, __: None if pair is None else self._numbers[pair],
            max_depth=_MAX_DEPTH,
        )

    def shown(self, thing: Thing, number: object) -> str:
        """Return an id for a sentence; only what the caller sent is known here."""
        key = self._keys.get((thing, number)) if isinstance(number, int) else None
        if key is None:
            return "that was sent"
        return key if self.source.ids_of(thing).is_integer else shown_text(key)

    def _shown(self, thing: Thing, number: Any) -> Any:
        if not isinstance(number, int):
            return number
        key = self._keys.get((thing, number))
        form = self.source.ids_of(thing)
        # A row that the application does not have was written past the API: it keeps our number.
        return form.to_json(str(number) if key is None else key)


def request_ids() -> RequestIds | None:
    """Return the ids of the current request; None where our tables are our own."""
    if "source_ids" not in g:
        held = services()
        source = held.source.current
        g.source_ids = RequestIds(source, held.source_ids) if source.is_copy else None
    found: RequestIds | None = g.source_ids
    return found


def path_number(name: str) -> int | None:
    """Return our number for a segment of the path; None for what can't be an id."""
    segments: dict[str, str] = request.view_args or {}
    ids = request_ids()
    if ids is None or name not in ONE:
        return whole_number(segments[name])
    keys = {
        other: ids.source.ids_of(ONE[other]).from_text(segment_text(text))
        for other, text in segments.items()
        if other in ONE
    }
    # All segments at once.
    ids.resolve((ONE[other], key) for other, key in keys.items() if key is not None)
    key = keys[name]
    return None if key is None else ids.number(ONE[name], key)


def unknown_path_id(name: str) -> UnknownIdError:
    """Return the error for a segment that can't be an id."""
    thing = name.removesuffix("_id")
    ids = request_ids()
    advice = f"Ids are whole numbers from 1 to {MAX_ID}."
    if ids is not None and name in ONE:
        advice = f"Ids are {ids.source.ids_of(ONE[name]).advice}."
    return UnknownIdError(thing, shown_text(segment_text((request.view_args or {})[name])), advice)


def body_values(values: Any) -> Any:
    """Return a JSON body with our numbers.

    Raises:
        InvalidInputError: a value can't be an id.
    """
    ids = request_ids()
    return values if ids is None else ids.inward(values, InvalidInputError)


def query_values(values: dict[str, str], *, has_user_search: bool) -> dict[str, str]:
    """Return a query string with our numbers.

    Args:
        values: the parameters.
        has_user_search: whether ``q`` may name one user by id.

    Raises:
        InvalidParameterError: a value can't be an id.
    """
    ids = request_ids()
    if ids is None:
        return values
    changed = dict(values)
    for name in SEVERAL.keys() & values.keys():
        numbers = ids.inward({name: _listed(values[name], ids.source)}, InvalidParameterError)
        changed[name] = ",".join(map(str, numbers[name]))
    text = values.get("q", "")
    if has_user_search and text.startswith(ID_PREFIX):
        key = ids.source.person_ids.from_text(text.removeprefix(ID_PREFIX))
        if key is None:
            message = f"must have an id of {ids.source.words.people} after {ID_PREFIX}"
            raise InvalidParameterError(f"q {message}.", errors=[{"field": "q", "message": message}])
        changed["q"] = f"{ID_PREFIX}{ids.number('user', key)}"
    return changed


def answer_values(payload: Any) -> Any:
    """Return an answer with the application's ids."""
    ids = request_ids()
    return payload if ids is None else ids.outward(payload)


def detail_of(error: BackendError) -> str:
    """Return what an error says, in the caller's ids and words."""
    # An error may come before the request has ids, and must not fail itself.
    ids: RequestIds | None = g.get("source_ids")
    if ids is None:
        return error.detail
    words = ids.source.words
    if isinstance(error, UnknownIdError) and error.thing in ("user", "movie"):
        sent = error.identifier
        shown = (
            ids.shown("user" if error.thing == "user" else "movie", sent) if isinstance(sent, int) else sent
        )
        return unknown_id(words.of(error.thing), shown, error.advice)
    if isinstance(error, NoSuchEventError):
        user, movie = ids.shown("user", error.user_id), ids.shown("movie", error.movie_id)
        return no_such_event(error.sentence, words.person, user, words.item, movie)
    return words.said(error.detail) if error.has_our_words else error.detail


def said(text: str) -> str:
    """Return a text of ours in the caller's words; it must not have a text that the caller sent."""
    ids: RequestIds | None = g.get("source_ids")
    return text if ids is None else ids.source.words.said(text)


def shown_movie(number: int) -> str:
    """Return a movie's id for a sentence, as the caller sent it."""
    ids = request_ids()
    return str(number) if ids is None else ids.shown("movie", number)


def shown_text(text: str) -> str:
    """Return what a caller sent, quoted and not too long."""
    quoted = orjson.dumps(text, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
    return quoted if len(quoted) <= _SHOWN_ID_LENGTH else quoted[:_SHOWN_ID_LENGTH] + "…"


def _listed(text: str, source: Source) -> list[Any]:
    """Return the ids of a parameter: separated by commas, or an array in JSON for ids that have commas."""
    if (found := json_list(text)) is not None:
        return found
    parts = [part.strip() for part in text.split(",")]
    if source.item_ids.is_integer:
        return [number if (number := whole_number(part)) is not None else part for part in parts]
    return list(parts)


def _visited(value: Any, visit: _Visit, place: str = "", *, max_depth: int = 100) -> Any:
    """Return a copy in which ``visit`` has changed what stands under a name of ids."""
    if max_depth and isinstance(value, dict):
        return {
            name: _visited_member(name, member, visit, f"{place}{name}", max_depth)
            for name, member in value.items()
        }
    if max_depth and isinstance(value, list | tuple):
        return [
            _visited(member, visit, f"{place}{number}.", max_depth=max_depth - 1)
            for number, member in enumerate(value)
        ]
    return value


def _visited_member(name: str, member: Any, visit: _Visit, place: str, max_depth: int) -> Any:
    if name in ONE:
        return visit(ONE[name], member, place)
    if name == "attributes":
        # Of an item, under names of the application.
        return member
    if name in SEVERAL and isinstance(member, list | tuple):
        return [
            _visited(each, visit, f"{place}.{number}.", max_depth=max_depth - 1)
            if isinstance(each, dict)
            else visit(SEVERAL[name], each, f"{place}.{number}")
            for number, each in enumerate(member)
        ]
    return _visited(member, visit, f"{place}.", max_depth=max_depth - 1)
