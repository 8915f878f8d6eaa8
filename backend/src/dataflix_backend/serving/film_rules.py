"""Rules in force, in the form that the ranking takes, and which of them decides on which film."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dataflix_backend.queries.history import ActiveRule
from dataflix_recommender import Model, RuleKind, Rules

# Which rule wins when a film has several: whoever pins a film wants it seen, whoever buries it wants it not
# to be lifted. Of one kind the newest wins.
_STRENGTH_OF_KIND: dict[RuleKind, int] = {"pin": 2, "bury": 1, "boost": 0}


@dataclass(frozen=True, slots=True)
class FilmRules:
    """``places`` for the ranking, ``applied`` the one rule of each film that the model knows, by movie_id."""

    places: Rules
    applied: dict[int, ActiveRule]

    @classmethod
    def of(cls, rules: Iterable[ActiveRule], model: Model) -> Self:
        """Choose one rule for each film of ``model``; ``rules`` come oldest first."""
        winning: dict[int, ActiveRule] = {}
        for rule in rules:
            other = winning.get(rule.movie_id)
            if other is None or _STRENGTH_OF_KIND[rule.kind] >= _STRENGTH_OF_KIND[other.kind]:
                winning[rule.movie_id] = rule
        if not winning:
            return cls(Rules(), {})
        positions = dict(zip(winning, model.positions(list(winning)).tolist(), strict=True))
        applied = {movie: rule for movie, rule in winning.items() if positions[movie] >= 0}
        # Two pins of one place: the older one stands above.
        pins = [(rule.place or 1, positions[movie]) for movie, rule in applied.items() if rule.kind == "pin"]
        boosts = {positions[m]: rule.strength or 0.0 for m, rule in applied.items() if rule.kind == "boost"}
        buried = [positions[movie] for movie, rule in applied.items() if rule.kind == "bury"]
        return cls(Rules(pins, boosts, buried), applied)
