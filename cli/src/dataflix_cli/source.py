"""What the API answers from: its own tables, or a copy of another application's database."""

from dataclasses import dataclass
from typing import Any

Id = int | str


@dataclass(frozen=True, slots=True)
class Source:
    """What people and items are called, and what ids they have.

    Attributes:
        name: of the application's database; empty for the API's own tables.
        has_number_ids: whether ids of people are numbers.
        has_number_item_ids: whether ids of items are numbers.
    """

    name: str = ""
    item: str = "movie"
    items: str = "movies"
    person: str = "user"
    people: str = "users"
    has_number_ids: bool = True
    has_number_item_ids: bool = True

    @classmethod
    def from_answer(cls, answer: dict[str, Any]) -> "Source":
        """Read the API's answer."""
        words = answer["words"]
        return cls(
            answer["name"] or "",
            words["item"],
            words["items"],
            words["person"],
            words["people"],
            answer["person_ids"] == "integer",
            answer["item_ids"] == "integer",
        )

    @property
    def is_copy(self) -> bool:
        """Whether ids are those of another application."""
        return bool(self.name)


OUR_TABLES = Source()
