"""Reasons in the words of the application that our tables are a copy of.

The recommender knows items that were rated and items that were watched. What else people do with an item has
names in the description of the source, and there nobody may have watched anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dataflix_backend.source import Source
from dataflix_recommender import TRENDING_UNRATED, Contribution, Events, Model, Reason

# As many as the recommender names in a sentence.
_MAX_NAMED = 2
# Kinds that are a verb's past can follow 'Because you'. These do not end with 'ed'.
_PAST = frozenset({"bought", "chose", "heard", "kept", "made", "met", "read", "seen", "took"})
_WATCHED = "watched"


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """What the reasons of one list are put in.

    Attributes:
        items: the word for several items; None for our own tables, where the recommender's words are true.
        kind_of: what the user did with an item of the history; nothing where it was rated or watched here.
        model: what the list is made from.
    """

    items: str | None
    kind_of: Mapping[int, str]
    model: Model

    @classmethod
    def of(cls, events: Events, source: Source, model: Model) -> Self:
        """Return the words for a history."""
        if not source.is_copy:
            return cls(None, {}, model)
        return cls(source.words.items, _strongest_kinds(events, source.kind_weights), model)

    def of_event(self, part: Contribution) -> str | None:
        """Return what was done with an item of the history, as the source calls it."""
        return self.kind_of.get(part.item_id) if part.rating is None else None

    def put(self, reason: Reason) -> tuple[str, str]:
        """Return the kind and the text of a reason."""
        if self.items is None:
            return reason.kind, reason.text
        if reason.contributions and reason.kind != "trending":
            named = reason.contributions[:_MAX_NAMED]
            is_rated = any(part.rating is not None for part in named)
            return "because_you_rated" if is_rated else "because_of_events", self._because(named)
        if reason.kind == "different":
            return reason.kind, f"Something different from your {self.items} so far"
        if reason.text == TRENDING_UNRATED:
            # There, nobody may have watched anything.
            return reason.kind, "Trending lately"
        if reason.kind == "unrated" and not self.model.catalogue.is_rated:
            return reason.kind, "New: nobody has done anything with it yet"
        return reason.kind, reason.text

    def _because(self, parts: Sequence[Contribution]) -> str:
        done: dict[str, list[str]] = {}
        other = []
        for part in parts:
            if part.rating is not None:
                done.setdefault("rated", []).append(f"{part.title} {part.rating:g}★")
                continue
            word = self.kind_of.get(part.item_id, _WATCHED).replace("_", " ")
            if is_past(word):
                done.setdefault(word, []).append(part.title)
            else:
                other.append(f"{part.title} ({word})")
        return " ".join(_phrases(done, other))


def _strongest_kinds(events: Events, weights: Mapping[str, float]) -> dict[int, str]:
    """Return the kind that speaks most for each item of a history, without items that none speaks for."""
    kinds = events.kinds
    if kinds is None:
        return {}
    strongest: dict[int, tuple[float, str]] = {}
    item_ids = events.item_ids[kinds.places].tolist()
    for item_id, code, count in zip(item_ids, kinds.codes.tolist(), kinds.counts.tolist(), strict=True):
        name = kinds.names[code]
        # As the recommender weighs several events of one kind.
        weight = weights.get(name, 0.0) * float(np.log2(1 + count))
        if weight > 0 and (weight, name) > strongest.get(item_id, (0.0, "")):
            strongest[item_id] = (weight, name)
    return {item_id: name for item_id, (_, name) in strongest.items()}


def _phrases(done: Mapping[str, Sequence[str]], other: Sequence[str]) -> Iterator[str]:
    said = " and ".join(f"{verb} {' and '.join(titles)}" for verb, titles in done.items())
    yield f"Because you {said}" if said else "Because of"
    if other:
        yield ("and because of " if said else "") + " and ".join(other)


def is_past(word: str) -> bool:
    """Return whether a kind is the past of a verb, such as rented."""
    return word in _PAST or (word.endswith("ed") and not word.endswith("eed"))
