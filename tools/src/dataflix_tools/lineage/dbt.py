"""The dbt project, read from its files: sources, models, their descriptions and their rendered SQL.

dbt's manifest has no rendered SQL without a warehouse; see docs/adr/0011-lineage-from-files.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import yaml

DATABASE = "analytics"
_DOC = re.compile(r"\{\{\s*doc\('(\w+)'\)\s*\}\}")
_DOCS_BLOCK = re.compile(r"\{%\s*docs (\w+)\s*%\}(.*?)\{%\s*enddocs\s*%\}", re.DOTALL)


class DbtFileError(Exception):
    """A file of the dbt project cannot be read; the message names it."""


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds."""
    # The parser in C; the one in Python takes seconds for our files.
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


@dataclass(frozen=True)
class Described:
    """A table of a source, or a model, as its yml describes it.

    Attributes:
        file: the yml, below the project's folder.
        columns: documentation by column; empty when a column has none.
    """

    file: str
    database: str
    name: str
    columns: dict[str, str]


@dataclass
class DbtProject:
    """The folder `dbt` of a project's folder."""

    root: Path
    reads: dict[str, set[str]] = field(default_factory=dict)

    @cached_property
    def sources(self) -> dict[str, Described]:
        """Tables that dbt reads but does not make, by `source.table`."""
        found: dict[str, Described] = {}
        for file, content in self._documents:
            for source in content.get("sources", []):
                for table in source["tables"]:
                    about = self._columns(table)
                    key = f"{source['name']}.{table['name']}"
                    found[key] = Described(file, source.get("schema", source["name"]), table["name"], about)
        return found

    @cached_property
    def models(self) -> dict[str, Described]:
        """Models that a yml describes, by name."""
        return {
            model["name"]: Described(file, DATABASE, model["name"], self._columns(model))
            for file, content in self._documents
            for model in content.get("models", [])
        }

    @cached_property
    def queries(self) -> dict[str, tuple[str, str]]:
        """File and SQL of each model by name; fills `reads` with the models that each one reads."""
        found: dict[str, tuple[str, str]] = {}
        for path in sorted((self.root / "dbt" / "models").rglob("*.sql")):
            file = path.relative_to(self.root).as_posix()
            self.reads[path.stem] = set()
            try:
                found[path.stem] = (file, self._render(path.read_text(), self.reads[path.stem]))
            except (jinja2.TemplateError, KeyError) as error:
                raise DbtFileError(f"{file}: can't be rendered: {error}") from error
        return found

    def in_order(self) -> Iterator[str]:
        """Yield the models, each after those it reads."""
        done: set[str] = set()
        waiting = list(self.queries)
        while waiting:
            ready = [name for name in waiting if not (self.reads[name] & set(waiting)) - {name}]
            # dbt itself refuses a cycle; here its first model has a finding about the tables that it misses.
            for name in ready or waiting[:1]:
                done.add(name)
                waiting.remove(name)
                yield name

    def _render(self, text: str, reads: set[str]) -> str:
        def ref(name: str) -> str:
            reads.add(name)
            return f"{DATABASE}.{name}"

        def source(group: str, table: str) -> str:
            known = self.sources.get(f"{group}.{table}")
            return f"{known.database if known else group}.{table}"

        def config(**_: object) -> str:
            return ""

        given = {"ref": ref, "source": source, "config": config, "var": self._variables.__getitem__}
        return self._jinja.from_string(text).render(self._macros | given)

    @cached_property
    def _jinja(self) -> jinja2.Environment:
        # The result is SQL, not HTML.
        return jinja2.Environment(  # noqa: S701
            extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined
        )

    @cached_property
    def _macros(self) -> dict[str, Any]:
        """The project's macros by name; they call each other by name, so all are in one module."""
        text = "\n".join(path.read_text() for path in sorted((self.root / "dbt" / "macros").glob("*.sql")))
        module = self._jinja.from_string(text).make_module({"var": self._variables.__getitem__})
        return {name: macro for name, macro in vars(module).items() if not name.startswith("_")}

    @cached_property
    def _variables(self) -> dict[str, Any]:
        content = read_yaml(self.root / "dbt" / "dbt_project.yml")
        return dict(content["vars"])

    @cached_property
    def _docs(self) -> dict[str, str]:
        return {
            name: " ".join(text.split())
            for path in (self.root / "dbt" / "models").rglob("*.md")
            for name, text in _DOCS_BLOCK.findall(path.read_text())
        }

    @cached_property
    def _documents(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (path.relative_to(self.root).as_posix(), read_yaml(path) or {})
            for path in sorted((self.root / "dbt" / "models").rglob("*.yml"))
        ]

    def _columns(self, described: dict[str, Any]) -> dict[str, str]:
        return {
            column["name"]: self._about(column.get("description", ""))
            for column in described.get("columns", [])
        }

    def _about(self, text: str) -> str:
        return " ".join(_DOC.sub(lambda block: self._docs.get(block[1], ""), text).split())
