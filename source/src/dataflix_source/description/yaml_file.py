"""Reads a description and says which line is wrong.

PyYAML's own loaders turn `no` into false, keep the last of two equal keys, and forget where a value stood. So
this module takes PyYAML's nodes, reads every value as text, and lets pydantic convert it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dataflix_source.description.model import FORMS, Description, part_names
from dataflix_source.errors import DescriptionError

# A description of a hundred tables has less than a tenth of it.
_MAX_BYTES = 1 << 20
# A description has five. The composer calls itself for each, so it must not meet any number of them.
_MAX_DEPTH = 20
# The one in C; PyYAML's own takes minutes for a hundred thousand brackets.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The parser's own words do not say what a person would change.
_HINT = (
    "Look at this line and the one before: lines are indented with spaces, a colon has a space behind it, and"
    """ a name with double quotes stands in single ones, as '"MyApp"."User"'."""
)

# pydantic's words for these are of Python, not of the file.
_MESSAGES = {
    "float_parsing": "must be a number, not {given!r}",
    "float_type": "must be a number, not {given!r}",
    "dict_type": "must be lines such as `name: column`",
    "tuple_type": "must be a list: `- ` before each of its parts",
}

Location = tuple[str | int, ...]
Lines = dict[Location, int]


@dataclass(frozen=True)
class DescriptionFile:
    """A description that is valid in itself, and where in its file everything stands.

    Attributes:
        path: of the file, for messages.
        text: what the file says.
    """

    description: Description
    path: str
    text: str
    lines: Lines

    def line(self, place: str) -> int | None:
        """Return the line of a place such as `people.id`, or of the nearest one around it."""
        location: Location = tuple(int(part) if part.isdecimal() else part for part in place.split("."))
        while location:
            if location in self.lines:
                return self.lines[location]
            location = location[:-1]
        return None


def read_description(path: Path) -> DescriptionFile:
    """Read and check a description.

    Raises:
        DescriptionError: it can't be read, is no YAML, or says something wrong; with each mistake's line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DescriptionError(str(path), [(None, f"can't be read: {error.strerror}")]) from error
    if len(content) > _MAX_BYTES:
        raise DescriptionError(str(path), [(None, "is larger than 1 MiB; a description is not")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DescriptionError(str(path), [(line, "is not UTF-8")]) from error
    return parse_description(text, str(path))


def parse_description(text: str, path: str) -> DescriptionFile:
    """Check the text of a description.

    Args:
        text: YAML.
        path: the name of the file in messages.

    Raises:
        DescriptionError: it is no YAML, or says something wrong; with the line of each mistake.
    """
    lines: Lines = {}
    problems: list[tuple[int | None, str]] = []
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else None
            if isinstance(event, yaml.AliasEvent):
                problems.append((line, "aliases (*name) are not possible; write it out"))
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise DescriptionError(path, [(line, "is nested too deeply")])
        if problems:
            raise DescriptionError(path, problems)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DescriptionError(
            path, [(line, f"is no YAML: {error.problem or error.context}. {_HINT}")]
        ) from error
    except yaml.YAMLError as error:
        raise DescriptionError(path, [(None, f"is no YAML: {str(error).splitlines()[0]}")]) from error
    if not isinstance(node, yaml.MappingNode):
        raise DescriptionError(path, [(1, "is empty, or no mapping: it begins with `version: 1`")])
    value = _value(node, (), lines, problems)
    if problems:
        raise DescriptionError(path, problems)
    try:
        return DescriptionFile(Description.model_validate(value), path, text, lines)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # A list whose only entry is wrong also counts as too short.
        found = [
            _problem(one, lines)
            for one in details
            if one["type"] != "too_short" or not any(_is_below(other["loc"], one["loc"]) for other in details)
        ]
        raise DescriptionError(
            path, sorted(dict.fromkeys(found), key=lambda problem: problem[0] or 0)
        ) from None


def _value(node: yaml.Node, location: Location, lines: Lines, problems: list[tuple[int | None, str]]) -> Any:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        # A value that is left out is none; `~` and `null` are as well, unless they are quoted.
        is_null = node.style is None and node.tag == "tag:yaml.org,2002:null"
        return None if is_null else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*location, place), lines, problems) for place, child in enumerate(node.value)]
    mapping: dict[str, Any] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.append((line, "a key must be a word"))
            continue
        if key.value in mapping:
            problems.append((line, f"{key.value} stands here twice"))
        lines[(*location, key.value)] = line
        mapping[key.value] = _value(child, (*location, key.value), lines, problems)
    return mapping


def _is_below(inner: Location, outer: Location) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _problem(details: ErrorDetails, lines: Lines) -> tuple[int, str]:
    # pydantic also names the branch of a union and "[key]"; only what the file has is of use.
    location: Location = ()
    shown: list[str] = []
    for part in details["loc"]:
        if part == "[key]":
            continue
        deeper = (*location, part)
        if deeper in lines:
            location = deeper
            shown.append(str(part))
    return lines[location], f"{'.'.join(shown)}: {_message(details)}" if shown else _message(details)


def _message(details: ErrorDetails) -> str:
    """Return what is wrong and what is possible, in the words of the file and not of Python."""
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    message: str
    if kind == "missing":
        message = f"{details['loc'][-1]} is missing"
    elif kind == "extra_forbidden":
        message = "is not known here"
    elif given is None:
        message = "has no value"
    elif kind == "string_pattern_mismatch":
        message = f"{given!r} has not the form {FORMS[context['pattern']]}"
    elif kind in ("literal_error", "enum"):
        message = f"must be {context['expected']}, not {given!r}"
    elif kind in _MESSAGES:
        message = _MESSAGES[kind].format(given=given)
    elif kind == "model_type":
        message = f"must have parts of its own: {part_names(context['class_name'])}"
    else:
        message = details["msg"]
    return message
