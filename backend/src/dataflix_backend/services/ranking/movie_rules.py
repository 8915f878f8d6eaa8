"""The rules in force, in the recommender's form, and the one rule that decides about each movie."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dataflix_backend.queries.ranking_context import ActiveRule
from dataflix_recommender import Model, RuleKind, Rules

# Which rule wins when a movie has several: a pin wins over a bury, and a bury over a boost. Of one kind, the
# newest wins.
_PRECEDENCE: dict[RuleKind, int] = {"pin": 2, "bury": 1, "boost": 0}


@dataclass(frozen=True, slots=True)
class MovieRules:
    """The rules of one ranking.

    Attributes:
        rules: for the recommender, by position in the model.
        applied: the one rule of each movie that the model knows, by movie_id.
    """

    rules: Rules
    applied: dict[int, ActiveRule]

    @classmethod
    def select(cls, active: Iterable[ActiveRule], model: Model) -> Self:
        """Choose one rule for each movie of ``model``; ``active`` is ordered from oldest to newest."""
        winning: dict[int, ActiveRule] = {}
        for rule in active:
            other = winning.get(rule.movie_id)
            if other is None or _PRECEDENCE[rule.kind] >= _PRECEDENCE[other.kind]:
                winning[rule.movie_id] = rule
        if not winning:
            return cls(Rules(), {})
        positions = dict(zip(winning, model.positions(list(winning)).tolist(), strict=True))
        applied = {movie_id: rule for movie_id, rule in winning.items() if positions[movie_id] >= 0}
        # Of two pins with the same place, the older one comes first.
        pins = [(rule.place or 1, positions[m]) for m, rule in applied.items() if rule.kind == "pin"]
        boosts = {positions[m]: rule.strength or 0.0 for m, rule in applied.items() if rule.kind == "boost"}
        buried = [positions[m] for m, rule in applied.items() if rule.kind == "bury"]
        return cls(Rules(pins, boosts, buried), applied)
