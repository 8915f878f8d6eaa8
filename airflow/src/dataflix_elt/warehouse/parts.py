"""What a raw table holds, and the parts it consists of: is it unchanged, without reading it?"""

from dataclasses import dataclass
from typing import Self

from dataflix_elt.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a table, as ClickHouse numbers them.

    Attributes:
        table: the table's uuid; a swap brings another one.
        mutation: the newest mutation (ALTER DELETE, ALTER UPDATE) that has rewritten a part.
        blocks: first and last number of the inserted blocks that each part holds, in order.
    """

    table: str
    mutation: int
    blocks: tuple[tuple[int, int], ...]

    def same_content(self, before: Self) -> bool:
        """Return whether nothing was added, removed or rewritten since `before`; merges change no content."""
        return (
            (self.table, self.mutation) == (before.table, before.mutation)
            and self._last == before._last
            and all(
                any(first <= old_first and old_last <= last for first, last in self.blocks)
                for old_first, old_last in before.blocks
            )
        )

    @property
    def _last(self) -> int:
        return max((last for _, last in self.blocks), default=0)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.table} {self.mutation} " + ",".join(f"{first}-{last}" for first, last in self.blocks)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text that `str` returns."""
        table, mutation, blocks = text.split(" ")
        return cls(
            table,
            int(mutation),
            tuple(
                (int(first), int(last))
                for first, last in (block.split("-") for block in blocks.split(",") if block)
            ),
        )


@dataclass(frozen=True, slots=True)
class TableState:
    """What a raw table holds.

    Attributes:
        keys: key fingerprint of the rows that are not deleted.
        parts: what the table consisted of then. As long as they have the same content, `keys` is right.
    """

    keys: Fingerprint
    parts: Parts
