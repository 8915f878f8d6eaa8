"""`tables.py` defines every table that is loaded; whatever repeats its columns agrees with it."""

import re
from typing import Any

import pytest
import yaml

from dataflix_elt.columns import Column
from dataflix_elt.tables import LAST_XID, TABLES, Table
from dataflix_testkit.process import ROOT

from ..support.engines import Engines

STAGING = ROOT / "dbt" / "models" / "staging"

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@every_table
def test_the_masked_view_has_the_columns(engines: Engines, table: Table) -> None:
    found = engines.sql(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (table.source,),
    )

    def in_source(column: Column) -> tuple[str, str]:
        return column.name, column.kind.source_type

    assert found == [in_source(column) for column in (*table.columns, LAST_XID)]


@every_table
def test_the_raw_table_of_clickhouse_init_has_the_columns_and_the_key(engines: Engines, table: Table) -> None:
    found = engines.query(
        "select name, type from system.columns"
        f" where database = 'raw' and table = '{table.name}' order by position"
    )
    ((key, engine),) = engines.query(
        f"select sorting_key, engine_full from system.tables where database = 'raw' and name = '{table.name}'"
    )

    assert found == list(table.raw_columns.items())
    assert key == ", ".join(table.key)
    assert engine.startswith("ReplacingMergeTree(_version, _is_deleted)")


@every_table
def test_the_source_of_dbt_has_the_columns(table: Table) -> None:
    (raw,) = yaml.safe_load((STAGING / "sources.yml").read_text())["sources"]
    assert {source["name"] for source in raw["tables"]} == {known.name for known in TABLES}
    (source,) = (source for source in raw["tables"] if source["name"] == table.name)
    columns: list[dict[str, Any]] = source["columns"]

    assert [(column["name"], column["data_type"]) for column in columns] == list(table.raw_columns.items())


@every_table
def test_the_staging_model_selects_every_column(table: Table) -> None:
    text = (STAGING / f"stg_{table.name}.sql").read_text()
    selected = re.search(r"renamed as \(\s*select(.*?)\s+from source", text, re.DOTALL)
    assert selected, "the model has no `renamed as (select ... from source`"
    expressions = top_level_parts(re.sub(r"--.*", "", selected[1]))
    read = [sorted(set(re.findall(r"\w+", text)) & set(table.column_names)) for text in expressions]

    assert sorted(read) == sorted([name] for name in table.column_names)


def top_level_parts(text: str) -> list[str]:
    """Split at the commas that are in no parentheses."""
    depth, parts = 0, [""]
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts
