"""The graph of columns: where each comes from, and the findings from building it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

# The layers that a value passes, in order.
LAYERS = (
    *("postgres", "masked", "clickhouse", "dbt", "training", "artifact", "signature", "api"),
    *("dataset", "chart", "dashboard"),
)


@dataclass(frozen=True, order=True)
class Finding:
    """A problem: the file, the name that it is about, and what is wrong."""

    file: str
    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.name}: {self.problem}"


@dataclass(frozen=True, order=True)
class Name:
    """A column of a table in a layer; a field of a schema and a measure of a data set are columns too."""

    layer: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.layer} {self.table}.{self.column}"

    @classmethod
    def parse(cls, text: str) -> "Name":
        """Parse the text that `str` returns; a column's name has no dot."""
        layer, rest = text.split(" ", 1)
        table, column = rest.rsplit(".", 1)
        return cls(layer, table, column)


@dataclass(frozen=True)
class Column:
    """A column and what is known about it.

    Attributes:
        file: where it is defined, below the project's folder.
        about: its description; empty if it has none.
        marking: personal, pseudonymised, masked or plain in layers with personal data; else empty.
    """

    name: Name
    file: str
    about: str = ""
    marking: str = ""


@dataclass
class Graph:
    """All columns, the edges from upstream to downstream, and the findings."""

    columns: dict[Name, Column] = field(default_factory=dict)
    upstream: dict[Name, set[Name]] = field(default_factory=dict)
    findings: set[Finding] = field(default_factory=set)

    def add(self, column: Column, comes_from: Iterable[Name] = ()) -> None:
        """Add a column; a source that was not added before is a finding."""
        self.columns[column.name] = column
        sources = self.upstream.setdefault(column.name, set())
        for source in comes_from:
            if source in self.columns:
                sources.add(source)
            else:
                self.find(column.file, column.name, f"comes from {source}, which does not exist")

    def find(self, file: str, name: object, problem: str) -> None:
        """Add a finding."""
        self.findings.add(Finding(file, str(name), problem))

    def table(self, layer: str, table: str) -> dict[str, Column]:
        """Return the columns of a table by name, in the order they were added."""
        return {
            name.column: column
            for name, column in self.columns.items()
            if (name.layer, name.table) == (layer, table)
        }

    def tables(self, layer: str) -> dict[str, list[str]]:
        """Return the column names of every table of a layer."""
        found: dict[str, list[str]] = {}
        for name in self.columns:
            if name.layer == layer:
                found.setdefault(name.table, []).append(name.column)
        return found

    def named(self, text: str) -> list[Name]:
        """Return the columns that `rating`, `users.email` or `masked users.email_hash` may stand for."""
        return [
            name
            for name in self.columns
            if text in (name.column, str(name)) or f".{name.table}.{name.column}".endswith(f".{text}")
        ]

    def downstream(self) -> dict[Name, set[Name]]:
        """Return the edges from each column to those that come from it."""
        found: dict[Name, set[Name]] = {name: set() for name in self.columns}
        for name, sources in self.upstream.items():
            for source in sources:
                found[source].add(name)
        return found


def reached(start: Iterable[Name], edges: dict[Name, set[Name]]) -> set[Name]:
    """Return all names that can be reached from `start`, with `start` itself."""
    seen: set[Name] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return seen
